-- The way out: metrics → points → for each output an outbox. The bytes are made once and shared by all outputs.

local namespace = require("agent.namespace")
local points = require("agent.publish.points")

local M = {}
M.__index = M

local KNOWN_MAX = 1000 -- namespaces whose topic and head are remembered

local ACK_MORE = 5 -- seconds: an output that doesn't acknowledge is found out first, then the disk has its turn

--- options: outputs (array of conf.output, each complete; `required` ones decide what is acknowledged), clock (mono,
--- wall), after, soon, call, log, hostname ().
function M.new(options)
  local self = setmetatable({
    clock = options.clock, after = options.after, log = options.log, hostname = options.hostname,
    points_dropped = {}, lanes = {}, required = 0, known = {}, known_count = 0,
  }, M)
  local ack, disk = 0, nil
  local function shared_disk()
    disk = disk or require("agent.publish.disk").new(options.after)
    return disk
  end
  for i, conf in ipairs(options.outputs) do
    local lane = require("agent.publish.lane").new(conf, { clock = options.clock, after = options.after,
      call = options.call, log = options.log, disk = shared_disk })
    self.lanes[i] = lane
    if lane.required then
      self.required = self.required + 1
      ack = math.max(ack, conf.ack)
    end
  end
  -- All that is published in one turn of the loop leaves together: one batch a topic.
  self.pump_soon = options.soon(function()
    for _, lane in ipairs(self.lanes) do lane.outbox:pump() end
  end)
  self.tickets = require("agent.publish.tickets").new(ack + ACK_MORE, options.clock.mono, options.after)
  return self
end

--- Metrics as the bodies of messages; points that can't be published are left out and counted.
function M:encode(metrics)
  local bodies, dropped = points.encode(metrics, self.hostname(), self.clock.wall())
  for reason, n in pairs(dropped or {}) do self:drop(reason, n) end
  return bodies
end

--- A reader of JSON metrics with :encode(bodies, count), as of host.metrics; likewise.
function M:reader(body)
  return points.reader(body, self.hostname(), self.clock.wall(), function(reason) self:drop(reason, 1) end)
end

--- Counts points that will not be published, by reason.
function M:drop(reason, count)
  if count > 0 then self.points_dropped[reason] = (self.points_dropped[reason] or 0) + count end
end

-- Topic and head of a namespace; anybody may post under any name, so they are not remembered without bound.
local function address(self, ns)
  local known = self.known[ns]
  if known then return known.topic, known.head end
  if self.known_count >= KNOWN_MAX then self.known, self.known_count = {}, 0 end
  known = { topic = namespace.topic(ns), head = points.head(ns) }
  self.known[ns], self.known_count = known, self.known_count + 1
  return known.topic, known.head
end

--- Publishes metrics under each of the namespaces; what an outbox has no room for is dropped and logged. `source`: the
--- group that all of them are from, if they are; for self.watch(namespaces, bodies, source), which may be set.
function M:emit(namespaces, metrics, source)
  local bodies = self:encode(metrics)
  if self.watch then self.watch(namespaces, bodies, source) end
  for _, ns in ipairs(namespaces) do
    local topic, head = address(self, ns)
    for _, body in ipairs(bodies) do
      for _, lane in ipairs(self.lanes) do lane.outbox:put(topic, head, body) end
    end
  end
  self.pump_soon()
end

local function size_of(bodies, head)
  local bytes = 0
  for _, body in ipairs(bodies) do bytes = bytes + #head + #body end
  return bytes
end

-- The first output that must have the messages and has no room for them.
local function full(self, count, bytes)
  for _, lane in ipairs(self.lanes) do
    if lane.required and not lane.outbox:fits(count, bytes) then return lane end
  end
end

--- Publishes bodies under a namespace, all of them or none. done(err) is called once: nil when every required output
--- has all of them, acknowledged or on disk; err.code "full" when one has no room, "timeout" when it takes too long.
function M:publish(ns, bodies, done)
  if #bodies == 0 then return done() end
  if self.watch then self.watch({ ns }, bodies) end
  local topic, head = address(self, ns)
  local lane = full(self, #bodies, size_of(bodies, head))
  if lane then
    lane.outbox:drop("full", #bodies)
    return done({ code = "full", message = "the queue is full" })
  end
  local acknowledged = self.tickets:open(#bodies * self.required, done)
  for _, body in ipairs(bodies) do
    for _, one in ipairs(self.lanes) do
      one.outbox:put(topic, head, body, one.required and acknowledged or nil)
    end
  end
  self.pump_soon()
end

--- Gives the outputs `seconds` to take what there is, then the spools; callback(messages that are in neither).
function M:close(seconds, callback)
  local open, all = #self.lanes, 0
  for _, lane in ipairs(self.lanes) do
    lane:close(seconds, function(left)
      open, all = open - 1, all + left
      if open == 0 then callback(all) end
    end)
  end
end

--- What there is to count, an array: { output = name, spool = as of spool:status() | nil, … as of outbox:status() }.
function M:outboxes()
  local list = {}
  for i, lane in ipairs(self.lanes) do list[i] = lane:counters() end
  return list
end

--- For /me/status.
function M:status()
  local status = self.lanes[1]:status()
  status.required, status.points_dropped = nil, self.points_dropped
  if self.lanes[2] then
    status.outputs = {}
    for i, lane in ipairs(self.lanes) do status.outputs[i] = lane:status() end
  end
  return status
end

return M
