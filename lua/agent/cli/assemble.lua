-- Puts the rooms together into a running agent: registry → collection on the scheduler → publishing, and
-- the control API beside them. Each room gets the others as functions.

local clock = require("host.clock")
local host = require("host")
local log = require("host.log")
local timer = require("agent.timer")
local uv = require("luv")

local M = {}
M.__index = M

local FIRST_ANSWER_SECONDS = 1

local function hostname()
  return uv.os_gethostname()
end

-- In another turn of the loop: libuv runs timers without delay in the turn in which they were started.
local function later(fn)
  timer.after(0.001, fn)
end

local function make_source(conf)
  local address = conf.agent.registryaddr
  local path = address:match("^file:(.+)$")
  if path then return require("agent.registry.file").new(path, require("agent.luafile").load, timer.after) end
  if address ~= "" then
    return require("agent.registry.http").new(conf.agent, {
      run = require("agent.worker.client").run, hostname = hostname, log = log,
    })
  end
  local err = { code = "registry", message = "agent.registryaddr is empty: no namespaces, nothing is published" }
  return { fetch = function(_, callback) callback(err) end, watch = function() end }
end

local function make_outcome(self)
  self.outcome = self.outcome or require("agent.outcome").new({
    emit = function(namespaces, metrics) self.publisher:emit(namespaces, metrics) end,
    exception = self.conf.agent.exceptionns, log = log, later = later,
  })
  return self.outcome
end

local function make_builtins(self)
  return require("agent.builtin").new({
    conf = self.conf, scheduler = self.scheduler, run = require("agent.worker.client").run,
    outcome = make_outcome(self), namespaces = function() return self.registry:namespaces() end, now = clock.mono,
    after = timer.after, log = log, directories = require("agent.builtin.home").directories(self.conf),
    user = uv.getuid() == 0 and self.conf.builtin.user or nil, state = self.conf.agent.statedir .. "/builtin.state",
  })
end

-- Nothing of this room is loaded as long as nobody wants a builtin function.
local function apply_builtins(self, records)
  local wanted = self.builtins or next(self.conf.builtins)
  for i = 1, wanted and 0 or #records do
    if records[i].type == "BUILTIN" then
      wanted = true
      break
    end
  end
  if not wanted then return end
  self.builtins = self.builtins or make_builtins(self)
  self.builtins:apply(records)
end

local function make_registry(self)
  local conf = self.conf.agent
  local remote = not conf.registryaddr:find("^file:") and conf.registryaddr ~= ""
  self.source = make_source(self.conf)
  return require("agent.registry").new({
    source = self.source, now = clock.mono, wall = clock.wall, log = log,
    cache = remote and require("agent.registry.cache").new(conf.statedir .. "/registry.json") or nil,
    apply = function(records)
      self.collection:apply(records)
      apply_builtins(self, records)
      self.plugins:apply(records)
    end,
    later = later,
  })
end

-- The longest stalls: since the start, and since the metric was sent last.
local function note_stall(self)
  local stall = host.take_stall()
  self.longest_stall = math.max(self.longest_stall, stall)
  self.recent_stall = math.max(self.recent_stall, stall)
end

local function environment(self)
  local conf = self.conf.agent
  return {
    procfs = require("host.procfs").open({ procfs = conf.procfs, sysfs = conf.sysfs, rootfs = conf.rootfs }),
    conf = conf, clock = { mono = clock.mono, wall = clock.wall }, worker = require("agent.worker.client"), log = log,
    agent = {
      errors = host.errors,
      stall_ms = function()
        note_stall(self)
        local recent = self.recent_stall
        self.recent_stall = 0
        return recent
      end,
      usage = function(visit) self.scheduler:usage(visit, true) end,
      outboxes = function() return self.publisher:outboxes() end,
      points_dropped = function() return self.publisher.points_dropped end,
      registry_age = function() return self.registry:age() end,
    },
  }
end

--- What knows and collects, from a complete configuration (config.lua). Nothing runs yet, and nothing is
--- connected: that is start()'s.
function M.new(conf)
  local self = setmetatable({ conf = conf, started = clock.mono(), longest_stall = 0, recent_stall = 0 }, M)
  self.scheduler = require("agent.scheduler").new({ now = clock.mono, after = timer.after, call = host.call,
    host = hostname(), log = log })
  self.registry = make_registry(self)
  self.plugins = require("agent.cli.plugins").new(self, make_outcome)
  self.collection = require("agent.collect").new({
    env = environment(self), conf = conf.agent, scheduler = self.scheduler, log = log,
    emit = function(namespaces, metrics, group) self.publisher:emit(namespaces, metrics, group) end,
    namespaces = function() return self.registry:namespaces() end,
    interval = function(group) return self.registry:interval(group) end,
  })
  return self
end

--- Looks for changed builtin functions, asks the registry anew and applies what it says; callback(err, change) as of
--- registry:update(), with builtins = what changed there.
function M:update(callback)
  local functions
  local function ask()
    self.registry:update(function(err, change)
      if not err and self.cycle then self.cycle:updated() end
      if change then change.builtins = functions end
      callback(err, change)
    end)
  end
  if not self.builtins then return ask() end
  self.builtins:apply()
  self.builtins:reload(function(_, changed)
    functions = changed
    ask()
  end)
end

local function schedules(self)
  local found = {}
  self.scheduler:usage(function(id, item)
    found[id] = {
      interval = item.interval, runs = item.runs, missed = item.missed, errors = item.errors,
      last_ms = item.last_s and math.floor(item.last_s * 1e6 + 0.5) / 1e3,
      longest_ms = math.floor(item.longest_s * 1e6 + 0.5) / 1e3,
      last_error = item.last_error and item.last_error.message,
    }
  end)
  return found
end

local function costs()
  local use = uv.getrusage()
  return use.utime.sec + use.stime.sec + (use.utime.usec + use.stime.usec) / 1e6,
    { rss = uv.resident_set_memory(), lua = math.floor(collectgarbage("count") * 1024) }
end

--- For /me/status.
function M:status()
  note_stall(self)
  local status = self.publisher:status()
  status.version, status.commit = host.build.version, host.build.commit
  status.hostname, status.pid = hostname(), uv.os_getpid()
  status.uptime = math.floor(clock.mono() - self.started)
  status.cpu_seconds, status.memory = costs()
  status.errors, status.stall_ms = host.errors(), self.longest_stall
  status.builtins, status.plugins = self.builtins and self.builtins:status(), self.plugins:status()
  status.schedules, status.registry = schedules(self), self.registry:status()
  return status
end

local function listen(self, callback)
  require("agent.http").start(self.conf, {
    status = function() return self:status() end,
    namespaces = function() return self.registry:namespaces() end,
    traffic = function() return self.collection:traffic() end,
    update = function(done) self:reload(done) end,
    encode = function(metrics) return self.publisher:encode(metrics) end,
    reader = function(body) return self.publisher:reader(body) end,
    dropped = function(reason, count) self.publisher:drop(reason, count) end,
    publish = function(ns, bodies, done) self.publisher:publish(ns, bodies, done) end,
    watch = function(fn) self.publisher.watch = fn end,
    schedules = function(visit) self.scheduler:usage(visit) end,
    configuration = function() return self.conf end,
    run = function(...) return require("agent.worker.client").run(...) end,
    plugins = self.plugins:control(), hostname = hostname, build = host.build, log = log,
  }, callback)
end

-- A source that tells of its changes is asked once, and again when it does.
local function follow(self, callback)
  self:update(callback)
  return self.source:watch(function() self:update(function() end) end)
end

-- Any other is asked each minute, and reported to.
local function ask_each_minute(self, have_cache, callback)
  self.cycle = require("agent.registry.cycle").new({
    now = clock.mono, after = timer.after, host = hostname(), have_cache = have_cache, log = log,
    update = function(done)
      self:update(function(err)
        done(err)
        callback()
      end)
    end,
    report = function(done)
      if not self.source.report then return done() end
      self.source:report(nil, function(err)
        if err then log.warning("registry", "report not taken", { code = err.code, reason = err.message }) end
        done(err)
      end)
    end,
  })
  self.cycle:start()
  if have_cache then callback() end
end

-- The system groups run without a registry too; they don't wait for it any longer than this.
local function start_groups_anyway(self)
  timer.after(FIRST_ANSWER_SECONDS, function()
    if self.registry.applied then return end
    self.collection:apply({})
    apply_builtins(self, {})
  end)
end

-- Restores the registry's last good answer and asks it for the next; callback() after the first.
local function begin(self, callback)
  start_groups_anyway(self)
  local function answered()
    if callback then callback() end
    callback = nil
  end
  self.registry:restore(function(found)
    if found and self.source.resume then self.source:resume(self.registry:namespaces(), self.registry.ids) end
    local unwatched = not self.source.watch and "" or follow(self, answered)
    if not unwatched then return end
    if unwatched ~= "" then
      log.info("registry", "the file can't be watched; it is read each minute", { reason = unwatched })
    end
    ask_each_minute(self, found, answered)
  end)
end

--- Connects the output, opens the control API, restores the registry's last good answer and asks it for the
--- next; callback(err) once, after the first answer or its failure.
function M:start(callback)
  self.publisher = require("agent.publish").new({ clock = clock, after = timer.after, soon = timer.soon,
    outputs = { self.conf.output, unpack(self.conf.output.also) }, call = host.call, log = log, hostname = hostname })
  listen(self, function(why, server)
    if why then return callback({ code = "listen", message = why }) end
    self.server = server
    begin(self, callback)
  end)
end

--- Stops collecting, gives the outbox `seconds` to get rid of what it holds, closes everything;
--- callback(messages left).
function M:stop(seconds, callback)
  self.scheduler:stop()
  if self.server then self.server:close() end
  if self.cycle then self.cycle:stop() end
  if self.source.close then self.source:close() end
  local waiting = 2
  local function closed()
    waiting = waiting - 1
    if waiting > 0 then return end
    self.publisher:close(seconds, function(left)
      if left > 0 then
        log.error("agent", "stopped before everything was acknowledged", { messages = left })
      end
      callback(left)
    end)
  end
  if self.builtins then self.builtins:close(closed) else closed() end
  self.plugins:close(closed)
end

return M
