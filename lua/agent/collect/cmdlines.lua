-- Which processes have a text in their command line. The worker "cmdline" reads them, since the kernel takes the
-- memory lock of a process for that and may wait for it without end. Remembered by pid and start time, without the
-- command line itself: two looks at the first two occasions (at the first one the process may have been about to
-- execute something else), none later.

local M = {}
M.__index = M

local DEADLINE = 2         -- seconds for one process
local MOST_STUCK = 4       -- of one resolve()
local MOST_LINGERING = 8   -- workers that not even KILL has ended; with so many nobody is asked any more
local STUCK_FOR = 600      -- seconds until a process that hung is asked again
local MOST_ASKED = 4096    -- of one worker
local KEPT_FOR = 3         -- intervals that a process is remembered after it was seen last

--- options: worker (agent.worker.client), after, mono, log, procfs (path).
function M.new(options)
  return setmetatable({ worker = options.worker, after = options.after, mono = options.mono, log = options.log,
    procfs = options.procfs or "/proc", deadline = options.deadline or DEADLINE, known = {}, stuck = {}, lingering = 0,
  }, M)
end

local function is_stuck(self, pid, start)
  local stuck = self.stuck[pid]
  return stuck ~= nil and stuck.start == start and (stuck.lingers or self.mono() < stuck.till)
end

local function entry_of(self, pid, start, path, interval)
  local entry = self.known[pid]
  if not entry or entry.start ~= start or entry.path ~= path then
    entry = { pid = pid, start = start, path = path, looks = 0, has = {} }
    self.known[pid] = entry
  end
  entry.till = self.mono() + KEPT_FOR * interval
  return entry
end

local function needs_look(entry, patterns)
  if entry.looks < 2 then return true end
  for _, pattern in ipairs(patterns) do
    if entry.has[pattern] == nil then return true end
  end
  return false
end

local function forget_old(self)
  local now = self.mono()
  for pid, entry in pairs(self.known) do
    if entry.till < now then self.known[pid] = nil end
  end
  for pid, stuck in pairs(self.stuck) do
    if not stuck.lingers and stuck.till < now then self.stuck[pid] = nil end
  end
end

local function take(attempt, marks)
  attempt.at = attempt.at + 1
  local entry, patterns = attempt.entries[attempt.at], attempt.request[attempt.at].patterns
  entry.looks = entry.looks + 1
  for i, pattern in ipairs(patterns) do entry.has[pattern] = marks:sub(i, i) == "1" end
end

local examine

local function settle(self, round, err)
  if self.round ~= round then return end
  self.round = nil
  round.callback(err)
end

-- The process that the worker reads did not answer in time: the worker is killed, another one reads the rest.
local function give_up(self, round, attempt)
  local entry = attempt.entries[attempt.at + 1]
  local stuck = { start = entry.start, lingers = true, till = self.mono() + STUCK_FOR }
  attempt.stuck, attempt.over = stuck, true
  self.stuck[entry.pid] = stuck
  self.lingering = self.lingering + 1
  self.log.warning("proc", "the command line of a process can't be read in time", { pid = entry.pid })
  attempt.handle:kill()
  round.hung = round.hung + 1
  examine(self, round, attempt.first + attempt.at + 1)
end

local function watch(self, round, attempt)
  local seen = attempt.at
  attempt.timer = self.after(self.deadline, function()
    if attempt.over then return end
    if attempt.at == seen then return give_up(self, round, attempt) end
    watch(self, round, attempt)
  end)
end

local function release(self, attempt)
  if not attempt.stuck or not attempt.stuck.lingers then return end
  attempt.stuck.lingers = false
  self.lingering = self.lingering - 1
end

local function ended(self, round, attempt, err)
  if attempt.stuck then
    if not err or not err.stuck then release(self, attempt) end
    return
  end
  attempt.over = true
  attempt.timer:cancel()
  if err then return settle(self, round, err) end
  examine(self, round, attempt.first + #attempt.entries)
end

-- Starts a worker for round.asked[first…], as many as one request may be about.
function examine(self, round, first)
  local asked = round.asked
  if first > #asked then return settle(self, round) end
  if round.hung >= MOST_STUCK or self.lingering >= MOST_LINGERING then
    return settle(self, round, { code = "stuck", message = "too many command lines can't be read" })
  end
  local attempt = { first = first, entries = {}, at = 0, request = { procfs = self.procfs } }
  for i = first, math.min(#asked, first + MOST_ASKED - 1) do
    table.insert(attempt.entries, asked[i].entry)
    table.insert(attempt.request, { asked[i].entry.pid, patterns = asked[i].patterns })
  end
  self.attempt = attempt
  watch(self, round, attempt)
  attempt.handle = self.worker.run("cmdline", attempt.request, {
    deadline_ms = math.ceil((#attempt.entries + 1) * self.deadline * 1000),
    on_item = function(marks) if not attempt.over then take(attempt, marks) end end,
    on_gone = function() release(self, attempt) end,
  }, function(err) ended(self, round, attempt, err) end)
end

--- Learns what is not known yet of the processes wanted = { { pid =, start =, path =, patterns = { text, … } }, … }.
--- interval: seconds until that is asked again. callback(err) once, at once when all is known.
function M:resolve(wanted, interval, callback)
  assert(not self.round, "one at a time")
  local asked = {}
  for _, one in ipairs(wanted) do
    local entry = entry_of(self, one.pid, one.start, one.path, interval)
    if needs_look(entry, one.patterns) and not is_stuck(self, one.pid, one.start) then
      asked[#asked + 1] = { entry = entry, patterns = one.patterns }
    end
  end
  forget_old(self)
  self.round = { callback = callback, asked = asked, hung = 0 }
  examine(self, self.round, 1)
end

--- Whether the text is in its command line; false for a process whose command line hung; nil: not known.
function M:has(pid, start, pattern)
  local entry = self.known[pid]
  local has = entry and entry.start == start and entry.has[pattern]
  if has == nil and is_stuck(self, pid, start) then return false end
  return has
end

function M:close()
  self.round = nil
  local attempt = self.attempt
  if attempt and not attempt.over then
    attempt.over = true
    attempt.timer:cancel()
    if attempt.handle then attempt.handle:kill() end
  end
end

return M
