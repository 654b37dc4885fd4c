-- A client of bytes: sends what it is told, keeps what comes back.
local loop = require("loop")
local uv = require("luv")

local M = {}
M.__index = M

--- Connects to { port = … } of 127.0.0.1 or { path = … }.
function M.connect(to)
  local self = setmetatable({ received = "", closed = false, connected = false }, M)
  self.handle = to.path and uv.new_pipe(false) or uv.new_tcp()
  local function on_connect(err)
    self.connected, self.failed = not err, err
    if not err then self:read() end
  end
  if to.path then
    self.handle:connect(to.path, on_connect)
  else
    self.handle:connect("127.0.0.1", to.port, on_connect)
  end
  loop.wait(function() return self.connected or self.failed end, "the connection")
  return self
end

--- Begins to read; connect() has done so already.
function M:read()
  self.handle:read_start(function(_, chunk)
    if chunk then self.received = self.received .. chunk else self.closed = true end
  end)
  return self
end

function M:send(bytes)
  self.handle:write(bytes)
  return self
end

--- Sends in slices of so many bytes, each in a turn of the loop of its own.
function M:send_slices(bytes, size)
  for from = 1, #bytes, size do
    local written = false
    self.handle:write(bytes:sub(from, from + size - 1), function() written = true end)
    loop.wait(function() return written end, "a slice to be written")
    uv.run("nowait")
  end
  return self
end

--- Waits until the text has been received (a Lua pattern); returns everything received.
function M:expect(pattern)
  loop.wait(function() return self.received:find(pattern) or self.closed end, pattern)
  if not self.received:find(pattern) then
    error("closed without " .. pattern .. "; received: " .. self.received, 2)
  end
  return self.received
end

--- Waits until the server has closed; returns everything received.
function M:until_closed()
  loop.wait(function() return self.closed end, "the server to close")
  self:close()
  return self.received
end

function M:close()
  if not self.handle:is_closing() then self.handle:close() end
  uv.run("nowait")
end

--- The statuses of all answers received, interim ones included.
function M:statuses()
  local all = {}
  for status in self.received:gmatch("HTTP/1%.1 (%d%d%d) ") do all[#all + 1] = tonumber(status) end
  return all
end

return M
