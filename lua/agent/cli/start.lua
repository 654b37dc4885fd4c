-- `agent start`: the agent in the foreground, as systemd wants it.

local M = {
  summary = "run the agent in the foreground",
  usage = "agent start [-f CONF]",
}

local FLUSH_SECONDS, EXIT_SECONDS = 3, 4.5
local TRIM_SECONDS = 20 -- after the first round of collection and publishing

local function on_signal(name, fn)
  local handle = require("luv").new_signal()
  handle:start(name, fn)
end

-- Ends the process once the log is written, or at the deadline: a dead disk doesn't keep us.
local function leave(code)
  local host = require("host")
  require("host.log").flush(function() host.exit(code) end)
end

-- TERM and INT: stop scheduling, flush, exit 0. A second one does not wait any longer.
local function stop_on_signals(agent)
  local host, log, timer = require("host"), require("host.log"), require("agent.timer")
  local stopping
  local function stop(name)
    if stopping then return host.exit(0) end
    stopping = true
    log.info("agent", "stopping", { signal = name })
    timer.after(EXIT_SECONDS, function() host.exit(0) end)
    agent:stop(FLUSH_SECONDS, function() leave(0) end)
  end
  on_signal("sigterm", stop)
  on_signal("sigint", stop)
end

local function setup_log(conf)
  require("host.log").setup({ dir = conf.log.logdir, level = conf.log.loglevel, format = conf.log.format,
    rotate_size = conf.log.logrotatesize, rotate_count = conf.log.logrotatenum })
end

local function apply_conf(conf, new)
  local log = require("host.log")
  local applied, waiting = require("agent.cli.reload").apply(conf, new)
  if applied[1] then
    setup_log(conf)
    log.info("agent", "configuration reloaded", { keys = table.concat(applied, " ") })
  end
  if waiting[1] then
    log.warning("agent", "changed, but needs a restart", { keys = table.concat(waiting, " ") })
  end
  return applied, waiting
end

-- Gives the agent its reload(done(err, change)): reads the configuration, then asks the registry. A configuration
-- that isn't valid changes nothing. Calls while one is under way share it.
local function make_reloadable(agent, conf, path)
  local waiting_for = {}
  local function answer(err, change)
    local callbacks = waiting_for
    waiting_for = {}
    for _, done in ipairs(callbacks) do done(err, change) end
  end
  function agent:reload(done)
    waiting_for[#waiting_for + 1] = done
    if waiting_for[2] then return end
    require("agent.config").load(path, function(err, new)
      if err then
        require("host.log").error("agent", "configuration not reloaded", { reason = err.message })
        return answer(err)
      end
      local applied, waiting = apply_conf(conf, new)
      self.server:reload()
      self:update(function(failure, change)
        if change then change.applied, change.restart = applied, waiting end
        answer(failure, change)
      end)
    end)
  end
end

local function boot(path, conf, warnings)
  local host, log = require("host"), require("host.log")
  local lock, why = require("host.pidfile").acquire(conf.agent.pidfile)
  if not lock then
    io.stderr:write("agent start: ", conf.agent.pidfile, ": ", why, "\n")
    return host.exit(1)
  end
  setup_log(conf)
  for _, warning in ipairs(warnings or {}) do
    log.warning("config", warning.message, { key = warning.key, line = warning.line })
  end
  local agent = require("agent.cli.assemble").new(conf)
  agent.lock = lock -- held until the process ends
  make_reloadable(agent, conf, path)
  agent:start(function(err)
    if err then
      log.fatal("agent", err.message)
      return leave(1)
    end
    log.info("agent", "started", { version = host.build.version, namespaces = #agent.registry:namespaces() })
  end)
  require("agent.timer").after(TRIM_SECONDS, require("host").trim)
  stop_on_signals(agent)
  on_signal("sighup", function() agent:reload(function() end) end)
end

function M.run(args)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  require("agent.config").load(options.f, function(err, conf, warnings)
    if not err then return boot(options.f, conf, warnings) end
    require("agent.config").show(io.stderr, options.f, err)
    require("host").exit(1)
  end)
end

return M
