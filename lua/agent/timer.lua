-- One-shot timers on the loop: the `after` that the rooms are handed.

local uv = require("luv")

local M = {}

--- Calls fn() once after so many seconds (monotonic, to the millisecond, never early by more than one).
---@param seconds number
---@param fn fun()
---@return { cancel: fun(self) } timer cancel() may come at any time, also after it fired
function M.after(seconds, fn)
  local handle = uv.new_timer()
  local timer = { cancel = function()
    if not handle:is_closing() then handle:close() end
  end }
  uv.update_time()
  handle:start(math.ceil(seconds * 1000), 0, function()
    handle:close()
    fn()
  end)
  return timer
end

--- A function that has fn() called once before the loop waits again, however often it is called until then. It makes
--- nothing new each time; an idle handle, because what fn starts to write then leaves in the same turn.
---@param fn fun()
---@return fun()
function M.soon(fn)
  local idle, started = uv.new_idle(), false
  local function run()
    idle:stop()
    started = false
    fn()
  end
  return function()
    if started then return end
    started = true
    idle:start(run)
  end
end

return M
