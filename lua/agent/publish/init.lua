-- The way out: metrics → points → outbox → output.

local namespace = require("agent.namespace")
local points = require("agent.publish.points")

local M = {}
M.__index = M

--- options: output (conf.output), clock (mono, wall), after, call, log, hostname ().
function M.new(options)
  local conf, clock = options.output, options.clock
  local output = assert(require("agent.publish." .. conf.name).new(conf, {
    clock = clock, log = options.log, ack_ms = conf.ack * 1000,
  }))
  return setmetatable({
    clock = clock, after = options.after, log = options.log, hostname = options.hostname, ack = conf.ack,
    points_dropped = {}, output = output,
    outbox = require("agent.publish.outbox").new({
      output = output, max_bytes = conf.maxmemory, max_messages = conf.buffersize,
      now = clock.mono, after = options.after, call = options.call, log = options.log,
    }),
  }, M)
end

--- Metrics as the bodies of messages; points that can't be published are left out and counted.
function M:encode(metrics)
  local bodies, dropped = points.encode(metrics, self.hostname(), self.clock.wall())
  for reason, n in pairs(dropped or {}) do
    self.points_dropped[reason] = (self.points_dropped[reason] or 0) + n
  end
  return bodies
end

-- All that is published in one turn of the loop leaves together: one batch a topic.
local function pump_soon(self)
  if self.pumping then return end
  self.pumping = true
  self.after(0, function()
    self.pumping = false
    self.outbox:pump()
  end)
end

--- Publishes metrics under each of the namespaces; what the outbox has no room for is dropped and logged.
function M:emit(namespaces, metrics)
  local bodies = self:encode(metrics)
  for _, ns in ipairs(namespaces) do
    local topic, head = namespace.topic(ns), points.head(ns)
    for _, body in ipairs(bodies) do
      local ok, why = self.outbox:put(topic, head, body)
      if not ok then self.log.error("outbox", "no room; the message is dropped", { ns = ns, reason = why }) end
    end
  end
  pump_soon(self)
end

local function size_of(bodies, head)
  local bytes = 0
  for _, body in ipairs(bodies) do bytes = bytes + #head + #body end
  return bytes
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

-- done(err) once, with a timeout when nobody has called it within the output's `ack` seconds.
local function within_deadline(self, done)
  local waiting
  local function answer(err)
    if not waiting then return end
    waiting:cancel()
    waiting = nil
    done(err)
  end
  waiting = self.after(self.ack, function()
    answer({ code = "timeout", message = "not acknowledged in time; it stays queued and may still arrive" })
  end)
  return answer
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
  local acknowledged = after_all(#bodies, within_deadline(self, done))
  for _, body in ipairs(bodies) do self.outbox:put(topic, head, body, acknowledged) end
  pump_soon(self)
end

--- Gives the outbox `seconds` to get rid of what it holds, then closes the output; callback(messages left).
function M:close(seconds, callback)
  self.outbox:drain(seconds, function(left)
    self.output:close(function() callback(left) end)
  end)
end

--- For /me/status.
function M:status()
  return { outbox = self.outbox:status(), output = self.output:status(), points_dropped = self.points_dropped }
end

return M
