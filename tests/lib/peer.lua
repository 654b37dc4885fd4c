-- A scripted TCP server: what a broken or hostile nsqd may do. serve(function(connection) … end) is called in
-- a coroutine for each connection; in it connection:read(n), :read_until(text), :command(), :greet(),
-- :write(bytes), :close(), :deaf() and :hang() (until the client goes).
local uv = require("luv")

local M = {}
local connection = {}
connection.__index = connection

function M.u32(n)
  return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256,
    math.floor(n / 256) % 256, n % 256)
end

--- A frame of nsqd: type 0 response, 1 error, 2 message.
function M.frame(kind, data)
  return M.u32(#data + 4) .. M.u32(kind) .. data
end

local function resume(self)
  local ok, why = coroutine.resume(self.script, self)
  if not ok and not tostring(why):find("the client went", 1, true) then
    self.peer.failure = debug.traceback(self.script, why)
  end
end

function connection:wait(ready)
  while not ready() do
    if self.ended then error("the client went", 0) end
    coroutine.yield()
  end
end

--- The next n bytes.
function connection:read(n)
  self:wait(function() return #self.input >= n end)
  local bytes = self.input:sub(1, n)
  self.input = self.input:sub(n + 1)
  return bytes
end

--- What comes up to and with `text`.
function connection:read_until(text)
  local last
  self:wait(function()
    last = select(2, self.input:find(text, 1, true))
    return last
  end)
  return self:read(last)
end

local function u32_at(bytes)
  local a, b, c, d = bytes:byte(1, 4)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

--- One command of the V2 protocol with its body: "MPUB topic", body. NOP comes as "NOP", nil.
function connection:command()
  local line = self:read_until("\n"):sub(1, -2)
  if line:sub(1, 4) == "  V2" then line = line:sub(5) end
  if line == "NOP" then return line end
  return line, self:read(u32_at(self:read(4)))
end

--- Reads IDENTIFY and answers it.
function connection:greet(reply)
  self:command()
  self:write(M.frame(0, reply or '{"auth_required":false}'))
end

function connection:write(bytes)
  self.tcp:write(bytes)
end

function connection:hang()
  self:wait(function() return false end)
end

--- Reads no more, so that the client can't write.
function connection:deaf()
  self.tcp:read_stop()
  coroutine.yield()
end

function connection:close()
  if not self.tcp:is_closing() then
    self.tcp:shutdown(function()
      if not self.tcp:is_closing() then self.tcp:close() end
    end)
  end
end

local function accept(self)
  local tcp = uv.new_tcp()
  assert(self.listener:accept(tcp))
  self.accepted = self.accepted + 1
  local c = setmetatable({ tcp = tcp, input = "", peer = self, number = self.accepted }, connection)
  self.open[c] = true
  c.script = coroutine.create(function(...)
    self.serve(...)
    c:close()
  end)
  tcp:read_start(function(err, chunk)
    if chunk then c.input = c.input .. chunk else c.ended = true end
    if coroutine.status(c.script) == "suspended" then resume(c) end
    if (err or not chunk) and not tcp:is_closing() then tcp:close() end
  end)
  resume(c)
end

--- Listens on a free port of 127.0.0.1 (or `port`). peer.port; peer.accepted = connections so far;
--- peer:refuse() stops listening; peer:stop() closes everything and raises what a script raised.
function M.start(serve, port)
  local self = { serve = serve, listener = uv.new_tcp(), accepted = 0, open = {} }
  assert(self.listener:bind("127.0.0.1", port or 0))
  assert(self.listener:listen(16, function() accept(self) end))
  self.port = self.listener:getsockname().port
  function self.refuse()
    if not self.listener:is_closing() then self.listener:close() end
  end
  function self.stop()
    self.refuse()
    for c in pairs(self.open) do
      if not c.tcp:is_closing() then c.tcp:close() end
    end
    if self.failure then error(self.failure) end
  end
  return self
end

return M
