-- Runs the loop from inside a test until something has happened, with a deadline.
local uv = require("luv")

local M = {}

--- Turns the loop until happened() is true; raises after `ms` (default 5000), naming what was awaited.
function M.wait(happened, what, ms)
  local late = false
  local timer = uv.new_timer()
  uv.update_time() -- a test that computes for long leaves the loop's clock behind
  timer:start(ms or 5000, 0, function() late = true end)
  while not happened() and not late do uv.run("once") end
  timer:close()
  uv.run("nowait")
  if not happened() then error("waited in vain for " .. (what or "it"), 2) end
end

--- Turns the loop until nothing is open in it any more.
function M.drain(ms)
  local late = false
  local timer = uv.new_timer()
  uv.update_time() -- a test that computes for long leaves the loop's clock behind
  timer:start(ms or 5000, 0, function() late = true end)
  timer:unref()
  while uv.loop_alive() and not late do uv.run("once") end
  timer:close()
  uv.run("nowait")
  if late then error("waited in vain for every handle to be closed", 2) end
end

--- A TCP port of 127.0.0.1 that nobody listens on just now.
function M.free_port()
  local tcp = uv.new_tcp()
  assert(tcp:bind("127.0.0.1", 0))
  local port = tcp:getsockname().port
  tcp:close()
  uv.run("nowait")
  return port
end

return M
