-- Runs items at fixed intervals on the monotonic clock. The first run comes within the first seconds,
-- spread so that not all items start at once; from then on an item has a fixed phase, derived from host and
-- item, so that ten thousand machines don't beat in time. Items may share a beat: their phases then lie on
-- common ticks of the host, so that one wake-up serves several. An item never runs twice at once: a tick that
-- finds it busy, or that the machine slept through, is skipped and counted.

local hash = require("host.hash")

local M = {}
M.__index = M

local FIRST_SPREAD = 2      -- seconds within which all items run for the first time
local GOLDEN = 0.6180339887 -- multiples of it, modulo 1, spread evenly however many there are

--- options: now () → monotonic seconds; after (seconds, fn) → timer with :cancel(); host, a string that
--- differs from machine to machine; call (fn, …) runs a function and contains what it raises; log.
function M.new(options)
  return setmetatable({ now = options.now, after = options.after, host = options.host, call = options.call,
    log = options.log, items = {}, added = 0 }, M)
end

-- Seconds from now to the item's next tick. Ticks are at phase + n * interval.
local function until_tick(item, now)
  local late = (now - item.phase) % item.interval
  return item.interval - late
end

-- `due` is kept exact: a timer that fires a little early or late moves nothing.
local function arm(self, item, due)
  item.due = due
  item.timer = self.after(math.max(0, due - self.now()), item.tick)
end

local function finished(self, item, err)
  local took = self.now() - item.began
  item.running = nil
  item.last_s = took
  item.longest_s = math.max(item.longest_s, took)
  item.last_error = err
  if err then item.errors = item.errors + 1 end
end

local function run(self, item)
  item.running = true
  item.began = self.now()
  item.runs = item.runs + 1
  local answered
  local ok = self.call(item.run, function(err)
    if answered then return end
    answered = true
    finished(self, item, err)
  end)
  if ok == false and not answered then
    answered = true
    finished(self, item, { code = "raised", message = "see the log" })
  end
end

local function skip(self, item, count)
  item.missed = item.missed + count
  if item.running and not item.reported then
    item.reported = true
    self.log.warning("scheduler", "still running at its next tick, which is skipped",
      { item = item.id, seconds = math.floor(self.now() - item.began) })
  end
end

local function tick(self, item)
  local late = math.max(0, math.floor((self.now() - item.due) / item.interval))
  if late > 0 then skip(self, item, late) end
  arm(self, item, item.due + (late + 1) * item.interval)
  if item.running then return skip(self, item, 1) end
  item.reported = nil
  run(self, item)
end

-- After the first run the next tick is at least half an interval away: rates want a real distance.
local function first_run(self, item)
  local now = self.now()
  local delay = until_tick(item, now)
  if delay < item.interval / 2 then delay = delay + item.interval end
  item.tick = function() tick(self, item) end
  arm(self, item, now + delay)
  run(self, item)
end

-- 0 <= phase < interval; with a beat one of the common ticks that lie in the interval.
local function phase_of(self, id, interval, beat)
  local fraction = hash.fraction(self.host .. "\0" .. id)
  if not beat or beat > interval then return fraction * interval end
  return hash.fraction(self.host) * beat + math.floor(fraction * math.floor(interval / beat)) * beat
end

--- Runs `fn(done)` each `interval` seconds until remove(id); the run lasts until it calls done(err).
---@param id string unique among the items
---@param interval number seconds
---@param fn fun(done: fun(err: table?))
---@param beat? number seconds between the common ticks that the item shall keep to
function M:every(id, interval, fn, beat)
  assert(not self.items[id], id .. " is scheduled already")
  local item = { id = id, interval = interval, run = fn, phase = phase_of(self, id, interval, beat),
    runs = 0, missed = 0, errors = 0, longest_s = 0 }
  self.items[id] = item
  local spread = math.min(FIRST_SPREAD, interval)
  local delay = (self.added * GOLDEN % 1) * spread
  self.added = self.added + 1
  item.tick = function() first_run(self, item) end
  arm(self, item, self.now() + delay)
end

--- Ends an item's schedule; a run under way goes on to its end.
function M:remove(id)
  local item = self.items[id]
  if not item then return end
  item.timer:cancel()
  self.items[id] = nil
end

function M:stop()
  for id in pairs(self.items) do self:remove(id) end
end

--- Calls visit(id, usage) for each item: usage = { interval, runs, missed, errors, last_s, longest_s,
--- last_error }; not to be changed. With `anew` the longest run is measured anew from now on.
function M:usage(visit, anew)
  for id, item in pairs(self.items) do
    visit(id, item)
    if anew then item.longest_s = 0 end
  end
end

return M
