-- `agent stop`: ends the agent that holds the configured pid file, and waits until it is gone.

local M = {
  summary = "end the running agent and wait until it is gone",
  usage = "agent stop [-f CONF] [-m MODE]",
  details = "-m clean removes agent.pluginsdir and agent.statedir afterwards; -m normal is the default.\n"
    .. "Exit status: 0 it has ended, 1 it has not or was not running, 64 wrong usage.\n",
}

local STOP_MS = 10000

local function fail(message)
  io.stderr:write("agent stop: ", message, "\n")
  return require("host").exit(1)
end

local function clean(conf)
  local host = require("host")
  require("agent.cli.clean").remove({ conf.agent.pluginsdir, conf.agent.statedir }, function(err, removed)
    for _, path in ipairs(removed) do io.stdout:write("removed ", path, "\n") end
    if err then return fail(err.message) end
    host.exit(0)
  end)
end

local function stop(conf, mode)
  local pidfile = conf.agent.pidfile
  local pid, why = require("host.pidfile").stop(pidfile, STOP_MS)
  if not pid then return fail(("%s: %s"):format(pidfile, why)) end
  io.stdout:write(("agent %d has ended\n"):format(pid))
  if mode == "clean" then return clean(conf) end
  require("host").exit(0)
end

function M.run(args)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  local mode = options.m or "normal"
  if mode ~= "normal" and mode ~= "clean" then
    io.stderr:write("agent stop: -m takes normal or clean; usage: ", M.usage, "\n")
    return 64
  end
  require("agent.config").load(options.f, function(err, conf)
    if err then return fail(err.message) end
    stop(conf, mode)
  end)
end

return M
