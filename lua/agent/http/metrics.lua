-- /metrics: every last sample and the agent's own counters, so that a Prometheus can scrape this host.

local answer = require("agent.http.answer")

local M = {}

local TEXT = "text/plain; version=0.0.4; charset=utf-8"
local OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
local FAMILIES_A_TURN = 50

local function add_own(page, deps, samples)
  local build = deps.build or {}
  page:add("agent.build.info", 1, { version = build.version, commit = build.commit })
  for listener, counters in pairs(deps.counters()) do
    for name, value in pairs(counters) do page:add("agent.http." .. name, value, { listener = listener }) end
  end
  page:add("agent.metrics.skipped", samples.skipped)
end

local function send(page, reply, kind, later)
  local parts = {}
  local function go_on()
    local part = page:write(FAMILIES_A_TURN)
    if part then
      parts[#parts + 1] = part
      return later(go_on)
    end
    return reply:send(200, { ["Content-Type"] = kind, ["X-Content-Type-Options"] = "nosniff" }, table.concat(parts))
  end
  go_on()
end

--- Registers the route. deps: feed (its samples), counters() → of the listeners by name, hostname(), build,
--- later(fn).
function M.register(router, deps)
  router:route("GET", "/metrics", function(request, reply)
    local open = answer.accepts(request, "application/openmetrics-text")
    local page = require("agent.http.exposition").new({ open = open, host = deps.hostname() })
    local samples = deps.feed:samples()
    add_own(page, deps, samples)
    samples:scrape(function(...) page:add(...) end, function()
      send(page, reply, open and OPEN or TEXT, deps.later)
    end)
  end, "read")
end

return M
