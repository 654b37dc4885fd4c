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

local function waits(lane)
  return lane.outbox.messages > 0 or lane.spool ~= nil and lane.spool.files > 0
end

-- For how long a lane in which something waits has got nothing acknowledged, as far as was seen.
local function stuck(seen, lane, now)
  local published = lane.outbox.published
  if not waits(lane) or not seen.published or published > seen.published then
    seen.published, seen.at = published, now
  end
  return now - seen.at
end

local function name_of(lane)
  local output = lane.output
  return output.server or output.path or output.name or lane.name or "the output"
end

local function sentence(err)
  return err and ": " .. (type(err) == "table" and tostring(err.message or err.code) or tostring(err)) or ""
end

-- Why a lane doesn't deliver, or nil.
local function trouble(lane, seconds)
  local state, why = lane.output.state, sentence(lane.output.last_error)
  local spool = lane.spool
  if spool and spool.state ~= "ok" then
    return ("the spool is %s%s"):format(spool.state, sentence(spool.last_error))
  end
  if state and state ~= "connected" and waits(lane) then
    return ("not connected to %s%s"):format(name_of(lane), why)
  end
  if seconds > STUCK_SECONDS then
    return ("%s has taken nothing for %d s%s"):format(name_of(lane), math.floor(seconds), why)
  end
end

local function delivering(deps, memory, reasons)
  local status = deps.status()
  for i, lane in ipairs(status.outputs or { status }) do
    memory[i] = memory[i] or {}
    if lane.required ~= false then
      local why = trouble(lane, stuck(memory[i], lane, deps.now()))
      if why then reasons[#reasons + 1] = "delivering: " .. why end
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
