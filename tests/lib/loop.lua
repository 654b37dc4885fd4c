-- Runs the loop from inside a test until something has happened, with a deadline.
local uv = require("luv")
local wait = require("wait")

local M = {}

--- Turns the loop until happened() is true; raises after `ms` (default 5000), naming what was awaited.
function M.wait(happened, what, ms)
  return wait.until_true(happened, ms, what)
end

--- Turns the loop until nothing is open in it any more.
function M.drain(ms)
  return wait.until_idle(ms)
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
