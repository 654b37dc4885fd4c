-- A real nsqd for a test: on free ports, in a directory of its own, ready when start() returns.
local uv = require("luv")
local loop = require("loop")

local M = { running = {} }
local server = {}
server.__index = server

--- nil, or why there is no nsqd here. Raises instead where AGENT_REQUIRE_NSQD=1.
function M.missing()
  local path = os.getenv("NSQD")
  if path and path ~= "" and uv.fs_access(path, "X") then return nil end
  local why = "no nsqd: not on PATH and not built in build/tools"
  if os.getenv("AGENT_REQUIRE_NSQD") == "1" then error(why) end
  return why
end

local function u32(n)
  return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256,
    math.floor(n / 256) % 256, n % 256)
end

local function read_u32(s, at)
  local a, b, c, d = s:byte(at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- In memory where the machine has a place for it: nsqd syncs its list of topics before it answers the first message
-- of a new one, and a shared disk may take seconds for that.
local function new_directory()
  local place = os.getenv("TMPDIR") or (uv.fs_access("/dev/shm", "W") and "/dev/shm") or "/tmp"
  return assert(uv.fs_mkdtemp(place .. "/nsqd-XXXXXX"))
end

local function reachable(address, port)
  local tcp, answer = uv.new_tcp(), nil
  tcp:connect(address, port, function(err)
    answer = err or "yes"
  end)
  loop.wait(function() return answer end, "connect")
  tcp:close()
  return answer == "yes"
end

--- Starts the process, without waiting until it listens.
function server:spawn()
  -- It ends with the tests, however they end.
  local argv = { "setpriv", "--pdeathsig", "KILL", os.getenv("NSQD"),
    "--data-path=" .. self.directory, ("--tcp-address=%s:%d"):format(self.address, self.tcp_port),
    ("--http-address=%s:%d"):format(self.address, self.http_port), "--broadcast-address=" .. self.address,
    "--log-level=error", unpack(self.arguments) }
  for i, word in ipairs(self.enter) do table.insert(argv, i, word) end
  local pid
  self.running = true
  self.process, pid = uv.spawn(argv[1], { args = { unpack(argv, 2) } }, function()
    self.running = false
  end)
  assert(self.process, pid)
end

function server:launch()
  self:spawn()
  loop.wait(function()
    assert(self.running, "nsqd ended at once")
    return reachable(self.address, self.tcp_port) and reachable(self.address, self.http_port)
  end, "nsqd to listen", 10000)
end

--- Starts one; `arguments` are further options for it, `secret` is what its AUTH wants of a reader. place: address
--- (default 127.0.0.1) and enter (words before the command: what brings it to where it has that address).
function M.start(arguments, secret, place)
  place = place or {}
  local self = setmetatable({
    directory = new_directory(),
    address = place.address or "127.0.0.1", enter = place.enter or {},
    tcp_port = loop.free_port(), http_port = loop.free_port(), arguments = arguments or {}, secret = secret,
  }, server)
  M.running[self] = true
  self:launch()
  return self
end

--- Ends the process and waits for it; its data stay for launch(). signal: default "sigterm", a clean stop.
function server:halt(signal)
  if not self.running then return end
  self.process:kill(signal or "sigterm")
  loop.wait(function() return not self.running end, "nsqd to end", 10000)
  self.process:close()
end

--- Ends it and removes its directory.
function server:stop()
  self:halt()
  for name in uv.fs_scandir_next, assert(uv.fs_scandir(self.directory)) do
    uv.fs_unlink(self.directory .. "/" .. name)
  end
  assert(uv.fs_rmdir(self.directory))
  M.running[self] = nil
  uv.run("nowait")
end

--- Stops what a failed test has left; for after_each.
function M.stop_all()
  for self in pairs(M.running) do self:stop() end
end

-- Takes whole frames off `input`; answers heartbeats, finishes messages. Returns the rest.
local function consume(tcp, input, on_message)
  while #input >= 8 and #input >= 4 + read_u32(input, 1) do
    local size, kind = read_u32(input, 1), read_u32(input, 5)
    local data = input:sub(9, 4 + size)
    input = input:sub(5 + size)
    if kind == 2 then
      on_message(data:sub(27))
      tcp:write("FIN " .. data:sub(11, 26) .. "\n")
    elseif kind == 1 then
      error("nsqd says " .. data)
    elseif data == "_heartbeat_" then
      tcp:write("NOP\n")
    end
  end
  return input
end

--- Calls on_message(bytes) for each message of a topic until the TCP handle that is returned is closed.
function server:subscribe(topic, on_message)
  local tcp, input = uv.new_tcp(), ""
  local identify = '{"client_id":"test"}'
  tcp:connect(self.address, self.tcp_port, function(err)
    assert(not err, err)
    tcp:read_start(function(why, chunk)
      if chunk then input = consume(tcp, input .. chunk, on_message) end
      assert(not why, why)
    end)
    local auth = self.secret and { "AUTH\n", u32(#self.secret), self.secret } or {}
    tcp:write({ "  V2IDENTIFY\n", u32(#identify), identify, table.concat(auth), "SUB ", topic,
      " test\nRDY 100\n" })
  end)
  return tcp
end

--- Messages of a topic as strings, in the order received, until enough(messages) is true; raises after `ms` without.
function server:read_until(topic, enough, ms)
  local messages = {}
  local tcp = self:subscribe(topic, function(message) messages[#messages + 1] = message end)
  local got = pcall(loop.wait, function() return enough(messages) end, "messages", ms or 10000)
  tcp:close()
  uv.run("nowait")
  if not got then error(("topic %s: only %d messages"):format(topic, #messages), 2) end
  return messages
end

--- The next `count` messages of a topic; raises after `ms` without them.
function server:read(topic, count, ms)
  return self:read_until(topic, function(messages) return #messages >= count end, ms)
end

return M
