-- Waits for an event in a test, running the loop, with a deadline.
local uv = require("luv")

local M = {}

local TICK_MS = 10 -- how often is looked at what isn't an event of the loop

-- Whoever waits calls this last (a tail call has no level of its own), so the error names the test's line.
local function await(timer_is_part, condition, ms, what)
  local deadline = uv.hrtime() + ms * 1e6
  local tick = uv.new_timer()
  tick:start(TICK_MS, TICK_MS, function() end)
  if not timer_is_part then tick:unref() end
  local value = condition()
  while not value and uv.hrtime() < deadline do
    uv.run("once")
    value = condition()
  end
  tick:close()
  uv.run("nowait")
  if value then return value end
  what = type(what) == "function" and what() or what or "it"
  error(("waited %g s in vain for %s"):format(ms / 1000, what), 2)
end

--- Runs the loop until condition() is true, and returns what it gave; raises after `ms` (default 5000) of waiting,
--- naming `what`: a text, or a function that tells how far things are.
function M.until_true(condition, ms, what)
  return await(true, condition, ms or 5000, what)
end

--- The same, until nothing is open in the loop any more.
function M.until_idle(ms)
  return await(false, function() return not uv.loop_alive() end, ms or 5000, "every handle to be closed")
end

return M
