-- One piece of file work at a time, off the loop. The body runs as a coroutine whose every wait is a
-- libuv request in the thread pool; a disk that never answers costs its group nothing but one warning.

local uv = require("luv")

local Task = {}
Task.__index = Task

--- options: `name` for the log, `deadline` in seconds, `log` (host.log). Owns one timer while it runs.
function Task.new(options)
  return setmetatable({ name = options.name, deadline = options.deadline or 10, log = options.log }, Task)
end

-- Calls an asynchronous libuv function and waits for its answer: value, or nil and libuv's error text.
local function await(fn, ...)
  local co, args, n = coroutine.running(), { ... }, select("#", ...)
  args[n + 1] = function(err, value)
    local ok, why = coroutine.resume(co, err, value)
    if not ok then error(debug.traceback(co, why), 0) end
  end
  local request, refused = fn(unpack(args, 1, n + 1))
  if not request then return nil, refused end
  local err, value = coroutine.yield()
  if err then return nil, err end
  return value
end
Task.await = await

--- The code of a libuv error text: "ENOENT: no such file or directory" → "ENOENT".
function Task.code(err)
  return tostring(err):match("^(E%w+)") or "EIO"
end

function Task:overdue(done)
  self.late = true
  self.log.warning("collect", "a read does not return; the group goes on without it", { group = self.name })
  done({}, { code = "timeout", message = self.name .. ": a read does not return" })
end

function Task:finish(result, err, done)
  self.timer:close()
  self.timer, self.busy = nil, false
  if not self.late then return done(result, err) end
  self.late = false
  if self.closed then return end
  self.kept = result
  self.log.info("collect", "the overdue read has returned", { group = self.name })
end

--- Runs body() → metrics in a coroutine and calls done(metrics, err) exactly once, at the latest when the
--- deadline is over. While an overdue body still waits, done gets no metrics at once and nothing new is
--- started; what it brings in the end goes to the run after.
function Task:run(body, done)
  if self.busy then return done({}) end
  local kept = self.kept
  self.kept, self.busy, self.timer = nil, true, uv.new_timer()
  self.timer:start(self.deadline * 1000, 0, function() self:overdue(done) end)
  local co = coroutine.create(function()
    local ok, result = xpcall(body, debug.traceback)
    if not ok then
      self:finish({}, { code = "internal", message = result }, done)
      return
    end
    for _, metric in ipairs(kept or {}) do result[#result + 1] = metric end
    self:finish(result, nil, done)
  end)
  local ok, why = coroutine.resume(co)
  if not ok then error(why, 0) end
end

--- Ends the waiting; a request that is under way is left to itself.
function Task:close()
  self.closed, self.late = true, true
  if self.timer then self.timer:stop() end
end

return Task
