-- `agent start`: the agent in the foreground, as systemd wants it.

local M = {
  summary = "run the agent in the foreground",
  usage = "agent start [-f CONF]",
}

local FLUSH_SECONDS, EXIT_SECONDS = 3, 4.5

local function on_signal(name, fn)
  local uv = require("luv")
  local handle = uv.new_signal()
  handle:start(name, fn)
  handle:unref()
  return handle
end

-- TERM and INT: stop scheduling, flush, exit 0; a second one, or the deadline, does not wait any longer.
local function stop_on_signals(agent)
  local host, log, timer = require("host"), require("host.log"), require("agent.timer")
  local stopping
  local function stop(name)
    if stopping then return host.exit(0) end
    stopping = true
    log.info("agent", "stopping", { signal = name })
    timer.after(EXIT_SECONDS, function() host.exit(0) end)
    agent:stop(FLUSH_SECONDS, function() host.exit(0) end)
  end
  on_signal("sigterm", stop)
  on_signal("sigint", stop)
end

return M
