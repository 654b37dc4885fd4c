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

return M
