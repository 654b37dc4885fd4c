-- The one operation on a disk that is under way at a time, for all spools together: a disk that hangs costs one thread
-- of the pool and nothing else. After the deadline who asked is told, and all others are refused until it answers.

local M = {}
M.__index = M

local SECONDS = 5

local HUNG = { code = "ETIMEDOUT", message = "the disk does not answer" }

--- after(seconds, fn) → timer
function M.new(after)
  return setmetatable({ after = after, queue = {}, hung = false }, M)
end

local next_one

local function finish(self)
  self.timer:cancel()
  self.busy = nil
  if not self.hung then return next_one(self) end
  self.hung = false
  if self.on_answer then self.on_answer() end
end

local function give_up(self, job)
  self.hung = true
  local waiting = self.queue
  self.queue = {}
  job.callback, job.late = nil, job.callback
  job.late(HUNG)
  for _, other in ipairs(waiting) do other.callback(HUNG) end
end

function next_one(self)
  local job = table.remove(self.queue, 1)
  if not job then return end
  self.busy = job
  self.timer = self.after(SECONDS, function() give_up(self, job) end)
  job.start(function(err, result)
    local callback = job.callback
    job.callback = nil
    finish(self)
    if callback then callback(err, result) end
  end)
end

--- Calls start(answered) when no other operation is under way; what it calls `answered` with goes to callback(err,
--- result), once, and an answer that comes after the deadline to nobody. Never calls back before it returns.
function M:run(start, callback)
  if self.hung then
    return self.after(0, function() callback(HUNG) end)
  end
  self.queue[#self.queue + 1] = { start = start, callback = callback }
  if not self.busy then next_one(self) end
end

return M
