-- The life of the builtin worker: started when there is something to say to it, started anew when it dies, at once
-- the first time and later each time it dies soon after. What is said in one turn of the loop is one frame.

local M = {}
M.__index = M

local SOON, LONGEST = 10, 60 -- seconds

--- options: run (as worker.client's), request, user, limits; now, after; on_message(message), on_start(): say what it
--- must know, on_end(err): it is gone, unless close() was called; returns whether it is clear why; log.
function M.new(options)
  return setmetatable({ options = options, quick = 0 }, M)
end

local function flush(self)
  self.prepare:stop()
  local list = self.waiting
  self.waiting = nil
  if not list or not self.worker then return end
  local ok, why = self.worker:send(list)
  if not ok then
    self.options.log.error("builtin", "the worker does not take its messages", { reason = why })
    self.worker:kill()
  end
end

--- Queues a message for the worker, which is started when it isn't there; false: not now, see on_start.
function M:say(message)
  if not self.worker then return false end
  if self.waiting then
    self.waiting[#self.waiting + 1] = message
  else
    self.waiting = { message }
    self.prepare = self.prepare or require("luv").new_prepare()
    self.prepare:start(function() flush(self) end)
  end
  return true
end

-- Who is guilty pauses by itself; only when nobody is known to be the worker has to.
local function pause_before_next(self, lived, explained)
  if explained then return 0 end
  self.quick = lived < SOON and self.quick + 1 or 0
  return self.quick < 2 and 0 or math.min(LONGEST, 2 ^ (self.quick - 2))
end

local function ended(self, worker, err)
  if self.worker ~= worker then return end
  self.worker, self.waiting = nil, nil
  if self.closed then return end
  local lived = self.options.now() - self.began
  local explained = self.options.on_end(err or { code = "ended", message = "worker builtin: ended", stderr = "" })
  local pause = pause_before_next(self, lived, explained)
  self.retry = self.options.after(pause, function()
    self.retry = nil
    self:start()
  end)
end

--- Starts it, when it isn't there nor about to be.
function M:start()
  if self.worker or self.retry or self.closed then return end
  local options = self.options
  local worker, failed
  self.began = options.now()
  worker = options.run("builtin", options.request, {
    deadline_ms = 0, user = options.user, net_raw = true, limits = options.limits,
    on_item = function(list)
      for _, message in ipairs(list) do
        if self.worker ~= worker then return end -- closed by what was said before
        options.on_message(message)
      end
    end,
  }, function(err)
    if worker then ended(self, worker, err) else failed = err end
  end)
  self.worker = worker or false
  if worker then return options.on_start() end
  ended(self, false, failed)
end

function M:kill()
  if self.worker then self.worker:kill() end
end

--- Ends it; nothing is called back.
function M:close()
  self.closed = true
  if self.retry then self.retry:cancel() end
  if self.worker then self.worker:kill() end
  self.worker, self.waiting = nil, nil
  if self.prepare then self.prepare:close() end
  self.prepare = nil
end

return M
