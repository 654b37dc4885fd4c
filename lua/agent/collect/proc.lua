-- PROC items: how many processes have the item's executable, and what they use together. One walk over /proc
-- serves all items of a run; it goes in slices, so that the loop never waits for tens of thousands of processes.
--
-- Rates are between two runs of one interval, so that lists of several intervals don't disturb each other.

local rate = require("agent.collect.rate")

local M = { name = "PROC", interval = 60, rates = true }

local SLICE_MS = 5
local MOST_WAITING = 16
local KEPT_FOR = 3 -- intervals that the last walk of an interval is kept without another one

local Collector = {}
Collector.__index = Collector

-- Each path once, and for those that items narrow by command line the texts: paths, number by path, texts by number.
local function wanted_of(items)
  local paths, place, texts = {}, {}, {}
  for _, item in ipairs(items) do
    local i = place[item.path]
    if not i then
      i = #paths + 1
      paths[i], place[item.path] = item.path, i
    end
    if item.cmdline then
      local list = texts[i] or { seen = {} }
      if not list.seen[item.cmdline] then
        list.seen[item.cmdline] = true
        list[#list + 1] = item.cmdline
      end
      texts[i] = list
    end
  end
  return paths, place, texts
end

local function say_once(self, key, message, fields)
  if self.said[key] then return end
  self.said[key] = true
  self.log.warning("proc", message, fields)
end

-- Those whose command line has the text; nil where that isn't known.
local function chosen(self, sweep, path, text)
  local set, pids = {}, sweep:pids(path)
  for i = 1, #pids, 2 do
    local has = self.cmdlines:has(pids[i], pids[i + 1], text)
    if has == nil then return nil end
    set[pids[i]] = has or nil
  end
  return set
end

-- The sums for an item, made once for all items with the same path and text; false where they aren't known.
local function sums_of(self, round, item)
  local key = item.cmdline and item.path .. "\0" .. item.cmdline or item.path
  local sums = round.sums[key]
  if sums == nil then
    local path, set = round.place[item.path], nil
    if item.cmdline then set = chosen(self, round.sweep, path, item.cmdline) end
    sums = (set or not item.cmdline) and round.sweep:sum(path, round.base, set) or false
    round.sums[key] = sums
    if sums and sums.no_fds + sums.no_io > 0 then
      say_once(self, "denied", "descriptors or I/O of a process can't be read", { executable = item.path })
    end
  end
  return sums
end

local function append(round, metrics, name, sums)
  local function add(what, value)
    if value then metrics[#metrics + 1] = { name = name .. what, value = value } end
  end
  add(".procnum", sums.processes)
  add(".deleted", sums.deleted)
  add(".fdnum", sums.fds)
  add(".mem", sums.resident)
  if sums.ticks and round.total > 0 then
    add(".cpu", math.min(100, rate.truncated(100 * sums.ticks, round.total)))
  end
  if sums.read then
    add(".io.read", math.ceil(sums.read / round.seconds))
    add(".io.write", math.ceil(sums.written / round.seconds))
  end
end

local function drop_base(self, interval)
  local base = self.bases[interval]
  if base then base.sweep:close() end
  self.bases[interval] = nil
end

-- What is to be compared with next time. Two runs too close to each other leave the older one.
local function remember(self, round)
  if round.too_close then
    round.sweep:close()
  else
    drop_base(self, round.interval)
    self.bases[round.interval] = { sweep = round.sweep, at = round.at, ticks = round.ticks }
  end
  for interval, base in pairs(self.bases) do
    if base.at < round.at - KEPT_FOR * interval then drop_base(self, interval) end
  end
end

-- The run is over: it answers, and the one that waited longest begins in a later turn of the loop.
local function answer(self, round, err)
  self.round = nil
  local waiting = table.remove(self.waiting, 1)
  if waiting then
    self.next = self.after(0.001, function()
      self.next = nil
      self:begin(waiting)
    end)
  end
  round.done(round.results, err)
end

local function finish(self, round, err)
  remember(self, round)
  answer(self, round, err)
end

-- Calls work() again and again, a slice in each turn of the loop, until it returns true. Between them 1 ms: libuv runs
-- a timer of 0 ms that a timer has started within the same turn.
local function in_slices(self, round, work)
  if self.round ~= round or work() then return end
  self.after(0.001, function() in_slices(self, round, work) end)
end

local function report(self, round, err)
  local base = self.bases[round.interval]
  if base and round.at - base.at >= rate.shortest then
    round.base, round.seconds = base.sweep, round.at - base.at
    round.total = round.ticks and base.ticks and round.ticks - base.ticks or 0
  end
  round.too_close = base and not round.base
  local items, by_ns, i = round.items, {}, 0
  in_slices(self, round, function()
    local till = self.mono() + SLICE_MS / 1000
    while i < #items and self.mono() < till do
      i = i + 1
      local item = items[i]
      if not by_ns[item.ns] then
        by_ns[item.ns] = {}
        round.results[#round.results + 1] = { ns = item.ns, metrics = by_ns[item.ns] }
      end
      local sums = sums_of(self, round, item)
      if sums then append(round, by_ns[item.ns], item.name, sums) end
    end
    if i < #items then return false end
    finish(self, round, err)
    return true
  end)
end

-- Command lines, where an item asks for them and somebody has its executable.
local function narrow(self, round)
  local wanted = {}
  for path, texts in pairs(round.texts) do
    local pids = round.sweep:pids(path)
    for i = 1, #pids, 2 do
      wanted[#wanted + 1] = { pid = pids[i], start = pids[i + 1], path = round.paths[path], patterns = texts }
    end
  end
  if #wanted == 0 then return report(self, round) end
  table.sort(wanted, function(a, b) return a.pid < b.pid end)
  self.cmdlines = self.cmdlines or require("agent.collect.cmdlines").new({
    worker = self.worker, after = self.after, mono = self.mono, log = self.log, procfs = self.root,
    deadline = self.deadline,
  })
  self.cmdlines:resolve(wanted, round.interval, function(err)
    if self.round == round then report(self, round, err) end
  end)
end

local function walk(self, round)
  in_slices(self, round, function()
    local over, why, code = round.sweep:step(SLICE_MS)
    if over == false then return false end
    if over == nil then
      round.sweep:close()
      answer(self, round, { code = code, message = why })
      return true
    end
    local hidden = round.sweep:hidden()
    if hidden > 0 then
      say_once(self, "hidden", "processes hide their executable from this user: they are not counted",
        { processes = hidden })
    end
    narrow(self, round)
    return true
  end)
end

function Collector:begin(round)
  self.round = round
  round.results, round.sums, round.total = {}, {}, 0
  round.paths, round.place, round.texts = wanted_of(round.items)
  local cpu, problem = self.procfs:cpu()
  if not cpu then say_once(self, "cpu", problem) end
  round.at, round.ticks = self.mono(), cpu and cpu.total
  local why, code
  round.sweep, why, code = self.procfs:sweep(round.paths)
  if not round.sweep then return answer(self, round, { code = code, message = why }) end
  walk(self, round)
end

function Collector:run(items, done)
  if #items == 0 then return done({}) end
  local round = { items = items, interval = items[1].interval, done = done }
  if not self.round and not self.next then return self:begin(round) end
  if #self.waiting >= MOST_WAITING then
    return done({}, { code = "busy", message = "processes: the runs before are not over" })
  end
  table.insert(self.waiting, round)
end

function Collector:close()
  if self.round then self.round.sweep:close() end
  if self.next then self.next:cancel() end
  self.round, self.next, self.waiting = nil, nil, {}
  for interval in pairs(self.bases) do drop_base(self, interval) end
  if self.cmdlines then self.cmdlines:close() end
  self.cmdlines = nil
end

--- env as for every collector, and for specs env.after (agent.timer) and env.deadline (seconds for one command
--- line). Returns a collector of
--- run(items, done): items of one interval, which may differ from run to run; done(results, err) once, within the
---   call or later: results = { { ns =, metrics = {…} }, … }. An item whose processes could not be told apart by
---   their command lines gives no metric but err. Runs of several intervals may overlap: they take turns.
--- close(): gives up the runs under way, whose done() is not called any more, and forgets all samples.
function M.new(env)
  local collector = setmetatable({ procfs = env.procfs, mono = env.clock.mono, worker = env.worker, log = env.log,
    after = env.after or require("agent.timer").after, root = env.conf and env.conf.procfs,
    deadline = env.deadline, bases = {}, waiting = {}, said = {} }, Collector)
  return {
    run = function(items, done) collector:run(items, done) end,
    close = function() collector:close() end,
  }
end

return M
