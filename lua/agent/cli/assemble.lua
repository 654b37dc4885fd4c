-- Puts the rooms together into a running agent: registry → collectors on the scheduler → points →
-- outbox → output, and the control API beside them. Each room gets the others as functions.

local clock = require("host.clock")
local host = require("host")
local log = require("host.log")
local namespace = require("agent.namespace")
local points = require("agent.publish.points")
local timer = require("agent.timer")
local uv = require("luv")

local M = {}
M.__index = M

local GROUPS = { "cpu", "mem", "net", "disk", "fs", "kernel", "coredump", "time", "dev", "self" }

local function hostname()
  return uv.os_gethostname()
end

local function registry_source(conf)
  local address = conf.agent.registryaddr
  local path = address:match("^file:(.+)$")
  if path then return require("agent.registry.file").source(path, require("agent.luafile").load) end
  local why = address == "" and "agent.registryaddr is empty: no namespaces, so nothing is published"
    or "agent.registryaddr: this version reads file:PATH only"
  return function(callback) callback({ code = "registry", message = why }) end
end

local function make_output(conf)
  local options = conf.output
  return assert(require("agent.publish." .. options.name).new(options, {
    clock = clock, log = log, ack_ms = options.ack * 1000,
  }))
end

--- What the agent is made of, from a complete configuration (config.lua); nothing runs yet.
function M.new(conf)
  local self = setmetatable({ conf = conf, started = clock.mono(), points_dropped = {}, heads = {},
    collectors = {}, longest_stall = 0 }, M)
  self.registry = require("agent.registry").new({ source = registry_source(conf), now = clock.mono, log = log })
  self.output = make_output(conf)
  self.outbox = require("agent.publish.outbox").new({
    output = self.output, max_bytes = conf.output.maxmemory, max_messages = conf.output.buffersize,
    now = clock.mono, after = timer.after, call = host.call, log = log,
  })
  self.scheduler = require("agent.scheduler").new({
    now = clock.mono, after = timer.after, call = host.call, host = hostname(), log = log,
  })
  return self
end

local function count(totals, dropped)
  for reason, n in pairs(dropped or {}) do totals[reason] = (totals[reason] or 0) + n end
end

-- Calls done(err) once after `left` answers: with the first error among them, or nil.
local function after_all(left, done)
  local failure
  return function(err)
    left = left - 1
    failure = failure or err
    if left == 0 then done(failure) end
  end
end

function M:head(ns)
  local head = self.heads[ns]
  if not head then
    head = points.head(ns)
    self.heads[ns] = head
  end
  return head
end

--- Metrics as the bodies of messages; points that can't be published are left out and counted.
function M:encode(metrics)
  local bodies, dropped = points.encode(metrics, hostname(), clock.wall())
  count(self.points_dropped, dropped)
  return bodies
end

--- Publishes metrics under each of the namespaces; what the outbox has no room for is dropped and logged.
function M:emit(namespaces, metrics)
  local bodies = self:encode(metrics)
  for _, ns in ipairs(namespaces) do
    for _, body in ipairs(bodies) do
      local ok, why = self.outbox:put(namespace.topic(ns), self:head(ns), body)
      if not ok then log.error("outbox", "no room; the message is dropped", { ns = ns, reason = why }) end
    end
  end
  self.outbox:pump()
end

local function size_of(bodies, head)
  local bytes = 0
  for _, body in ipairs(bodies) do bytes = bytes + #head + #body end
  return bytes
end

--- Publishes bodies under a namespace, all of them or none. done(err) is called once: nil when the output has
--- acknowledged all, err.code "full" when there is no room, "timeout" after conf.output.ack seconds.
function M:publish(ns, bodies, done)
  if #bodies == 0 then return done() end
  local topic, head = namespace.topic(ns), points.head(ns)
  if not self.outbox:fits(#bodies, size_of(bodies, head)) then
    self.outbox:drop("full", #bodies)
    return done({ code = "full", message = "the queue is full" })
  end
  local waiting
  local function answer(err)
    if not waiting then return end
    waiting:cancel()
    waiting = nil
    done(err)
  end
  waiting = timer.after(self.conf.output.ack, function()
    answer({ code = "timeout", message = "not acknowledged in time; it stays queued and may still arrive" })
  end)
  local acknowledged = after_all(#bodies, answer)
  for _, body in ipairs(bodies) do self.outbox:put(topic, head, body, acknowledged) end
  self.outbox:pump()
end

local function environment(self)
  local roots = { procfs = self.conf.agent.procfs, sysfs = self.conf.agent.sysfs, rootfs = self.conf.agent.rootfs }
  return {
    procfs = require("host.procfs").open(roots), conf = self.conf.agent,
    clock = { mono = clock.mono, wall = clock.wall }, worker = require("agent.worker.client"), log = log,
    agent = {
      errors = host.errors,
      stall_ms = function()
        local stall = host.take_stall()
        self.longest_stall = math.max(self.longest_stall, stall)
        return stall
      end,
      usage = function(visit) self.scheduler:usage(visit, true) end,
      outbox = function() return self.outbox:status() end,
      points_dropped = function() return self.points_dropped end,
    },
  }
end

--- The collectors of all system groups, in the order they run first: { { group, collector }, … }.
function M:make_collectors()
  local env, made = environment(self), {}
  for i, name in ipairs(GROUPS) do
    local group = require("agent.collect." .. name)
    made[i] = { group = group, collector = group.new(env) }
  end
  return made
end

local function run_collector(self, name, collector, done)
  collector.run(function(metrics, err)
    if err then log.warning("collect", err.message, { group = name, code = err.code }) end
    if metrics and #metrics > 0 then
      self:emit(self.registry:namespaces(), metrics)
      if collector.also then self:emit({ collector.also }, metrics) end
    end
    done(err)
  end)
end

local function interval_of(self, group)
  local conf = self.conf.agent
  local asked = self.registry:interval(group.name) or conf.intervals[group.name] or group.interval
  return math.max(asked, conf.mininterval)
end

-- Starts what isn't scheduled yet, and what has another interval than before; the rest keeps its phase.
local function schedule(self)
  for _, one in ipairs(self.collectors) do
    local name, interval = one.group.name, interval_of(self, one.group)
    if one.interval ~= interval then
      self.scheduler:remove(name)
      self.scheduler:every(name, interval, function(done) run_collector(self, name, one.collector, done) end)
      one.interval = interval
    end
  end
end

--- Asks the registry anew and applies what it says; callback(err).
function M:update(callback)
  self.registry:update(function(err)
    schedule(self)
    callback(err)
  end)
end

local function traffic(self)
  for _, one in ipairs(self.collectors) do
    if one.collector.last then return one.collector.last() end
  end
end

--- For /me/status.
function M:status()
  local groups, refused = {}, self.registry.refused
  self.scheduler:usage(function(id, item)
    groups[id] = {
      interval = item.interval, runs = item.runs, missed = item.missed, errors = item.errors,
      last_ms = item.last_s and math.floor(item.last_s * 1e6 + 0.5) / 1e3,
      last_error = item.last_error and item.last_error.message,
    }
  end)
  return {
    version = host.build.version, commit = host.build.commit, hostname = hostname(), pid = uv.os_getpid(),
    uptime = math.floor(clock.mono() - self.started), namespaces = self.registry:namespaces(),
    errors = host.errors(), stall_ms = self.longest_stall, groups = groups, refused = refused[1] and refused,
    outbox = self.outbox:status(), output = self.output:status(), points_dropped = self.points_dropped,
  }
end

--- Opens the control API, asks the registry and starts the schedules; callback(err) once.
function M:start(callback)
  local server, why = require("agent.http").start(self.conf, {
    status = function() return self:status() end,
    namespaces = function() return self.registry:namespaces() end,
    traffic = function() return traffic(self) end,
    update = function(done) self:update(done) end,
    encode = function(metrics) return self:encode(metrics) end,
    publish = function(ns, bodies, done) self:publish(ns, bodies, done) end,
    log = log,
  })
  if not server then return callback({ code = "listen", message = why }) end
  self.server = server
  self.collectors = self:make_collectors()
  self:update(function() callback() end)
end

--- Stops collecting, gives the outbox `seconds` to get rid of what it holds, closes everything;
--- callback(messages left).
function M:stop(seconds, callback)
  self.scheduler:stop()
  self.server:close()
  self.outbox:drain(seconds, function(left)
    if left > 0 then
      log.error("agent", "stopped before everything was acknowledged", { messages = left })
    end
    self.output:close(function() callback(left) end)
  end)
end

return M
