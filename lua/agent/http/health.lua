-- /healthz: whether this agent does what it is here for, collecting and delivering; and if not, why.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}

local STARTING_SECONDS = 15 -- by then every group has run once
local STUCK_SECONDS = 60    -- nothing delivered although something waits

local function collecting(deps, reasons)
  local ran, now = false, deps.now()
  deps.schedules(function(id, item)
    ran = ran or item.runs > 0
    if item.running and now - item.began > math.max(30, 2 * item.interval) then
      reasons[#reasons + 1] = ("collecting: %s has been running for %d s"):format(id, math.floor(now - item.began))
    end
  end)
  if not ran then
    reasons[#reasons + 1] = now - deps.started < STARTING_SECONDS and "collecting: starting"
      or "collecting: nothing has run yet"
  end
  if not deps.namespaces()[1] then
    reasons[#reasons + 1] = "delivering: there are no namespaces, so nothing is published"
  end
end

-- Whether a lane gets on: each is remembered by what it had published when that last changed.
local function stuck(seen, lane, now)
  local outbox = lane.outbox
  local waiting = outbox.messages > 0 or (outbox.spool and (outbox.spool.files or 0) > 0)
  if not waiting or not seen.published or outbox.published > seen.published then
    seen.published, seen.at = outbox.published, now
  end
  return waiting and now - seen.at > STUCK_SECONDS and now - seen.at
end

local function name_of(lane)
  local output = lane.output
  return output.server or output.path or output.name or lane.name or "the output"
end

local function delivering(deps, memory, reasons)
  local status = deps.status()
  local lanes = status.outputs or { { outbox = status.outbox, output = status.output, required = true } }
  for i, lane in ipairs(lanes) do
    memory[i] = memory[i] or {}
    if lane.outbox and lane.required ~= false then
      local state, err = lane.output.state, lane.output.last_error
      local seconds = stuck(memory[i], lane, deps.now())
      local why = err and (type(err) == "table" and err.message or tostring(err))
      if state and state ~= "ready" and state ~= "connected" and lane.outbox.messages > 0 then
        reasons[#reasons + 1] = ("delivering: not connected to %s%s"):format(name_of(lane), why and ": " .. why or "")
      elseif seconds then
        reasons[#reasons + 1] = ("delivering: %s has taken nothing for %d s%s"):format(name_of(lane), seconds,
          why and ": " .. why or "")
      end
    end
  end
end

--- Registers the route. deps: status(), namespaces(), schedules(visit(id, usage)) as of the scheduler, now() →
--- monotonic seconds, started (as of now()).
function M.register(router, deps)
  local memory = {}
  router:route("GET", "/healthz", function(request, reply)
    local reasons = {}
    collecting(deps, reasons)
    delivering(deps, memory, reasons)
    local well = not reasons[1]
    if answer.wants_json(request) then
      return answer.json(reply, well and 200 or 503,
        json.encode({ status = well and "ok" or "unready", reasons = json.list(reasons) }))
    end
    return answer.text(request, reply, well and 200 or 503, well and "ok\n" or table.concat(reasons, "\n") .. "\n")
  end, "read")
end

return M
