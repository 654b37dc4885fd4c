-- Waits for an event in a test, running the loop, with a deadline.
local uv = require("luv")

local M = {}

--- Runs the loop until `condition()` is true; raises after `ms` (default 5000).
function M.until_true(condition, ms)
  local deadline, late = uv.new_timer(), false
  local tick = uv.new_timer()
  uv.update_time() -- a test that computes for long leaves the loop's clock behind
  deadline:start(ms or 5000, 0, function() late = true end)
  tick:start(5, 5, function() end) -- looks again at what isn't an event of the loop
  local value = condition()
  while not value and not late do
    uv.run("once")
    value = condition()
  end
  deadline:close()
  tick:close()
  uv.run("nowait")
  if not value then error(("what was waited for did not happen within %d ms"):format(ms or 5000), 2) end
  return value
end

return M
