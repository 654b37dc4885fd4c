-- What is collected, and when: the system groups, which always run, and the checks (PORT, PROC) that items
-- of the registry ask for. Only what an answer of the registry changes is touched; the rest keeps its phase.

local M = {}
M.__index = M

-- In the order they run first.
local GROUPS = { "cpu", "mem", "net", "disk", "fs", "kernel", "coredump", "time", "dev", "self" }
local CHECKS = { PORT = "port", PROC = "proc" }

-- Seconds. Groups are read in microseconds; waking up for them costs more, so that they share their ticks
-- (measured: 40 % less CPU than a tick for each).
local BEAT = 10

--- options:
---   env         what collectors are handed (see a collector, such as cpu.lua)
---   conf        conf.agent: intervals, mininterval
---   scheduler
---   emit        (namespaces, metrics, name of the group | nil)
---   namespaces  () → all namespaces of the machine
---   interval    (group) → seconds that the registry asks for, or nil
---   log
function M.new(options)
  local self = setmetatable({
    env = options.env, conf = options.conf, scheduler = options.scheduler, emit = options.emit,
    namespaces = options.namespaces, interval = options.interval, log = options.log,
    groups = {}, -- { { group, collector, interval = of its schedule } … }
    checks = {}, -- "PORT@60" → { type, items }
    checkers = {}, -- type → collector, made when first needed
  }, M)
  for i, name in ipairs(GROUPS) do
    local group = require("agent.collect." .. name)
    self.groups[i] = { group = group, collector = group.new(self.env) }
  end
  return self
end

local function complain(self, name, err)
  if err then self.log.warning("collect", err.message, { group = name, code = err.code }) end
end

local function run_group(self, one, done)
  one.collector.run(function(metrics, err)
    complain(self, one.group.name, err)
    if metrics and #metrics > 0 then
      self.emit(self.namespaces(), metrics, one.group.name)
      if one.collector.also then self.emit({ one.collector.also }, metrics) end
    end
    done(err)
  end)
end

local function schedule_groups(self)
  for _, one in ipairs(self.groups) do
    local name = one.group.name
    local interval = self.interval(name) or self.conf.intervals[name] or one.group.interval
    interval = math.max(interval, self.conf.mininterval)
    if one.interval ~= interval then
      self.scheduler:remove(name)
      self.scheduler:every(name, interval, function(done) run_group(self, one, done) end, BEAT)
      one.interval = interval
    end
  end
end

local function run_check(self, check, done)
  local checker = self.checkers[check.type]
  if not checker then
    checker = require("agent.collect." .. CHECKS[check.type]).new(self.env)
    self.checkers[check.type] = checker
  end
  checker.run(check.items, function(results, err)
    complain(self, check.type, err)
    for _, result in ipairs(results or {}) do
      if #result.metrics > 0 then self.emit({ result.ns }, result.metrics) end
    end
    done(err)
  end)
end

-- The items of the checks by "TYPE@SECONDS": those share their runs.
local function by_schedule(self, records)
  local wanted = {}
  for _, record in ipairs(records) do
    if CHECKS[record.type] then
      local interval = math.max(record.interval, self.conf.mininterval)
      local id = ("%s@%d"):format(record.type, interval)
      wanted[id] = wanted[id] or { type = record.type, interval = interval, items = {} }
      table.insert(wanted[id].items, record)
    end
  end
  return wanted
end

local function schedule_checks(self, records)
  local wanted = by_schedule(self, records)
  for id in pairs(self.checks) do
    if not wanted[id] then
      self.scheduler:remove(id)
      self.checks[id] = nil
    end
  end
  for id, new in pairs(wanted) do
    local check = self.checks[id]
    if check then
      check.items = new.items
    else
      self.checks[id] = new
      self.scheduler:every(id, new.interval, function(done) run_check(self, new, done) end)
    end
  end
end

--- Schedules what the registry's records ask for.
function M:apply(records)
  schedule_groups(self)
  schedule_checks(self, records)
end

--- The last interface metrics, nil before there are any; for /me/traffic.
function M:traffic()
  for _, one in ipairs(self.groups) do
    if one.collector.last then return one.collector.last() end
  end
end

return M
