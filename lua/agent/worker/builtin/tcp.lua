-- Connections of a run: TCP and unix sockets, read by bytes or by lines.

local resolve = require("agent.worker.builtin.resolve")
local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local HELD = 2 ^ 16      -- bytes that are read ahead of who wants them
local LARGEST = 2 ^ 22   -- of one read
local CONNECT = 5        -- seconds

-- What belongs to a connection is out of reach of who holds it.
local hidden = setmetatable({}, { __mode = "k" })

local Connection = {}
local meta = { __index = Connection, __metatable = false }

local function own_state(conn)
  local state = hidden[conn]
  if not state then error("a connection's functions are called with a colon: conn:line()", 3) end
  if state.run ~= run.current() then error("the connection belongs to a run that is over", 3) end
  return state
end

local function gather(state)
  if state.chunks[2] then state.chunks = { table.concat(state.chunks) } end
  return state.chunks[1] or ""
end

local function wake(state)
  local fn = state.wake
  if fn then fn() end
end

local function on_read(state, err, chunk)
  if chunk then
    state.chunks[#state.chunks + 1] = chunk
    state.have = state.have + #chunk
    if chunk:find("\n", 1, true) then state.lines = true end
    if state.have >= state.want + HELD then
      state.handle:read_stop()
      state.paused = true
    end
  else
    state.ended = err or "EOF"
  end
  wake(state)
end

local function read_on(state)
  if state.paused and not state.ended then
    state.paused = nil
    state.handle:read_start(state.on_read)
  end
end

local function take(state, n)
  local text = gather(state)
  local rest = text:sub(n + 1)
  state.chunks = rest ~= "" and { rest } or {}
  state.have = #rest
  state.lines = rest:find("\n", 1, true) ~= nil
  return text:sub(1, n)
end

-- Waits until ready() gives a number of bytes to take.
local function wait_for(state, what, want, seconds, ready)
  if state.closed then return nil, "the connection is closed", "closed" end
  state.want = want
  read_on(state)
  local n = ready()
  if not n and not state.ended then
    local ok, why, code = run.await(what .. " " .. state.name, seconds or state.timeout, function(answer)
      state.wake = function()
        n = ready()
        if n or state.ended then
          state.wake = nil
          answer(true)
        end
      end
      return function() state.wake = nil end
    end)
    if not ok then return nil, why, code end
  end
  if n then return take(state, n) end
  local why = state.ended == "EOF" and "closed by the other side" or state.ended
  return nil, ("%s: %s, %d bytes before the end"):format(state.name, why, state.have), "closed"
end

--- `n` bytes; without n what there is, at least one.
function Connection:read(n, seconds)
  local state = own_state(self)
  if n and (type(n) ~= "number" or n < 1 or n > LARGEST) then error("read: 1 to 4 MiB", 2) end
  return wait_for(state, "bytes from", n or 1, seconds, function()
    if n then return state.have >= n and n or nil end
    return state.have > 0 and state.have or nil
  end)
end

--- The next line, without its end (\n or \r\n); at most 64 KiB.
function Connection:line(seconds)
  local state = own_state(self)
  local text, why, code = wait_for(state, "a line from", HELD, seconds, function()
    if state.lines then return (gather(state):find("\n", 1, true)) end
    return state.have >= HELD and state.have or nil
  end)
  if not text then return nil, why, code end
  if text:sub(-1) ~= "\n" then return nil, state.name .. ": a line of more than 64 KiB", "too_large" end
  return (text:gsub("\r?\n$", ""))
end

--- All until the other side closes; at most `most` bytes (1 MiB).
function Connection:all(most, seconds)
  local state = own_state(self)
  most = math.min(most or 2 ^ 20, LARGEST)
  if state.closed then return nil, "the connection is closed", "closed" end
  while not state.ended do
    local text, why, code = wait_for(state, "the end of", most + 1, seconds, function()
      return state.have > most and state.have or nil
    end)
    if text then return nil, ("%s: more than %d bytes"):format(state.name, most), "too_large" end
    if not state.ended or state.ended ~= "EOF" then return nil, why, code end
  end
  return take(state, state.have)
end

--- Sends all of it. true; nil, message, code.
function Connection:send(text, seconds)
  local state = own_state(self)
  if type(text) ~= "string" then error("send: a string is sent", 2) end
  if state.closed then return nil, "the connection is closed", "closed" end
  local sent = state.handle:try_write(text)
  if sent == #text then return true end
  if sent and sent > 0 then text = text:sub(sent + 1) end
  return run.await("room to send to " .. state.name, seconds or state.timeout, function(answer)
    local ok, why = state.handle:write(text, function(err)
      if err then answer(nil, state.name .. ": " .. err, "closed") else answer(true) end
    end)
    if not ok then answer(nil, state.name .. ": " .. why, "closed") end
  end)
end

function Connection:close()
  local state = hidden[self]
  if not state or state.closed then return end
  state.closed = true
  run.release(state.run, state.token)
  state.handle:close()
end

local function adopt(handle, name, timeout)
  local state = { handle = handle, name = name, run = run.current(), timeout = timeout,
    chunks = {}, have = 0, want = 0 }
  local conn = setmetatable({}, meta)
  hidden[conn] = state
  state.token = run.own(function() conn:close() end)
  state.on_read = function(err, chunk) on_read(state, err, chunk) end
  handle:read_start(state.on_read)
  return conn
end

-- One attempt: a connection, or nil, message, code.
local function connect(handle, name, timeout, begin)
  local token = run.own(function() handle:close() end)
  local owner = run.current()
  local ok, why, code = run.await("the connection to " .. name, timeout, function(answer)
    local begun, wrong = begin(function(err) answer(not err, err, "connect") end)
    if not begun then answer(nil, wrong, "connect") end
  end)
  run.release(owner, token)
  if ok then return adopt(handle, name, timeout) end
  handle:close()
  return nil, code == "timeout" and why or ("%s: %s"):format(name, why), code
end

function M.unix(path, timeout)
  local pipe = uv.new_pipe(false)
  return connect(pipe, path, timeout, function(done) return pipe:connect(path, done) end)
end

function M.connect(host, port, timeout)
  local list, why, code = resolve.addresses(host, timeout)
  if not list then return nil, why, code end
  local conn
  for _, address in ipairs(list) do
    local socket = uv.new_tcp()
    conn, why, code = connect(socket, ("%s:%d"):format(host, port), timeout,
      function(done) return socket:connect(address, port, done) end)
    if conn then return conn end
  end
  return nil, why, code
end

--- ctx.tcp: host = name, address or "unix:/path"; options { timeout = seconds of each wait (5) }.
function M.open(host, port, options)
  options = options or {}
  local timeout = options.timeout or CONNECT
  if type(host) ~= "string" then error("tcp: the host is a string", 3) end
  local path = host:match("^unix:(.+)$")
  if path then return M.unix(path, timeout) end
  port = tonumber(port)
  if not port or port < 1 or port > 65535 or port % 1 ~= 0 then error("tcp: the port is 1 to 65535", 3) end
  return M.connect(host, port, timeout)
end

return M
