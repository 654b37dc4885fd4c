-- When the registry is asked and reported to. Ten thousand machines do so: each has its own phase within the
-- minute, derived from its name, and one that was restarted and still knows what to do waits for it.
--
-- A failed call is tried again within its period, twice in the first period that fails, once in each after
-- that, spread wide: so a registry that was away is back to its usual load as soon as it is back itself.

local hash = require("host.hash")

local M = {}
M.__index = M

local UPDATE_S, REPORT_S = 60, 600
local FIRST_REPORT_SPREAD_S = 180 -- after a restart with a cache, when all the others restarted too
local SHORTEST_S = 5              -- between a call and the next tick

-- One call that is repeated: each `period` seconds at its phase, and in between after a failure.
local Call = {}
Call.__index = Call

local function new_call(cycle, name, period, fn)
  return setmetatable({ cycle = cycle, name = name, period = period, fn = fn, failed = 0, tries = 0,
    phase = hash.fraction(cycle.host .. "\0registry " .. name) * period }, Call)
end

function Call:until_tick()
  return self.period - (self.cycle.now() - self.phase) % self.period
end

function Call:after(name, seconds, fn)
  if self[name] then self[name]:cancel() end
  self[name] = self.cycle.after(seconds, fn)
end

function Call:schedule_tick(shortest)
  local seconds = self:until_tick()
  if seconds < shortest then seconds = seconds + self.period end
  self:after("tick_timer", seconds, function() self:tick() end)
end

-- Whole pauses: the first between 5 % and 15 % of the period, the second between 25 % and 60 %; never so late
-- that it would meet the next tick.
function Call:schedule_retry()
  local allowed = self.failed == 0 and 2 or 1
  if self.tries > allowed then return end
  local from, to = 0.25, 0.6
  if self.tries == 1 and allowed == 2 then from, to = 0.05, 0.15 end
  local pause = (from + (to - from) * self.cycle.random()) * self.period
  if pause > self:until_tick() - SHORTEST_S then return end
  self:after("retry_timer", pause, function() self:try() end)
end

function Call:finished(err)
  if self.cycle.stopped then return end
  if err then return self:schedule_retry() end
  self.failed, self.tries = 0, 0
  if self.on_success then self.on_success() end
end

-- An answer that comes after the call was given up is passed over.
function Call:try()
  if self.running then return end
  local token = {}
  self.running, self.tries = token, self.tries + 1
  self.fn(function(err)
    if self.running ~= token then return end
    self.running = nil
    self:finished(err)
  end)
end

function Call:tick()
  self:schedule_tick(SHORTEST_S)
  if self.retry_timer then self.retry_timer:cancel() end
  if self.running and not self.overdue then
    self.overdue = true
    self.cycle.log.warning("registry", "still busy at its next tick, which is skipped", { call = self.name })
    return
  end
  if self.tries > 0 then self.failed = self.failed + 1 end
  self.running, self.overdue, self.tries = nil, nil, 0
  self:try()
end

function Call:stop()
  if self.tick_timer then self.tick_timer:cancel() end
  if self.retry_timer then self.retry_timer:cancel() end
  self.running = nil
end

--- options: now () → monotonic seconds; after (seconds, fn) → timer with :cancel(); host, a string that
--- differs from machine to machine; random () → 0 … 1 (default: another on each machine); have_cache: there is a
--- last good state to live on;
--- update (done), report (done) with done(err) once; log.
function M.new(options)
  local function random() return hash.fraction(("%s\0%.6f"):format(options.host, options.now())) end
  local self = setmetatable({ now = options.now, after = options.after, host = options.host,
    random = options.random or random, have_cache = options.have_cache, log = options.log }, M)
  self.updates = new_call(self, "update", UPDATE_S, options.update)
  self.reports = new_call(self, "report", REPORT_S, options.report)
  self.updates.on_success = function() self:updated() end
  return self
end

--- Begins: with a cache the first update comes at this host's phase, within a minute; without one now. The first
--- report follows the first good update.
function M:start()
  if self.have_cache then return self.updates:schedule_tick(0) end
  self.updates:schedule_tick(SHORTEST_S)
  self.updates:try()
end

--- An update was good, also one that somebody else asked for.
function M:updated()
  if self.reporting or self.stopped then return end
  self.reporting = true
  local pause = self.have_cache and self.reports.phase % FIRST_REPORT_SPREAD_S or 0
  self.reports:after("tick_timer", pause, function()
    self.reports:schedule_tick(REPORT_S / 4)
    self.reports:try()
  end)
end

--- Ends it; calls under way are not waited for.
function M:stop()
  self.stopped = true
  self.updates:stop()
  self.reports:stop()
end

return M
