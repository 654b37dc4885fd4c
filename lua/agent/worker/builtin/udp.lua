-- Datagrams of a run, to and from one address.

local resolve = require("agent.worker.builtin.resolve")
local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local HELD = 64 -- datagrams kept until they are wanted

local hidden = setmetatable({}, { __mode = "k" })
local Socket = {}
local meta = { __index = Socket, __metatable = false }

local function own_state(socket)
  local state = hidden[socket]
  if not state then error("a socket's functions are called with a colon: socket:receive()", 3) end
  if state.run ~= run.current() then error("the socket belongs to a run that is over", 3) end
  return state
end

function Socket:send(text)
  local state = own_state(self)
  if state.closed then return nil, "the socket is closed", "closed" end
  local sent, why, code = state.handle:try_send(text, nil, nil)
  if not sent then return nil, state.name .. ": " .. why, code end
  return true
end

local function next_datagram(state)
  if state.got[1] then return table.remove(state.got, 1) end
  local err = state.err
  state.err = nil
  return nil, err and ("%s: %s"):format(state.name, err), err and "closed"
end

--- The next datagram; nil, message, code.
function Socket:receive(seconds)
  local state = own_state(self)
  if state.closed then return nil, "the socket is closed", "closed" end
  if not state.got[1] and not state.err then
    local ok, why, code = run.await("an answer of " .. state.name, seconds or state.timeout, function(answer)
      state.wake = function()
        state.wake = nil
        answer(true)
      end
      return function() state.wake = nil end
    end)
    if not ok then return nil, why, code end
  end
  return next_datagram(state)
end

function Socket:close()
  local state = hidden[self]
  if not state or state.closed then return end
  state.closed = true
  run.release(state.run, state.token)
  state.handle:close()
end

local function adopt(handle, name, timeout)
  local state = { handle = handle, name = name, run = run.current(), timeout = timeout, got = {} }
  local socket = setmetatable({}, meta)
  hidden[socket] = state
  state.token = run.own(function() socket:close() end)
  handle:recv_start(function(err, text)
    if err then
      state.err = err
    elseif text and #state.got < HELD then
      state.got[#state.got + 1] = text
    end
    if (err or text) and state.wake then state.wake() end
  end)
  return socket
end

--- ctx.udp: options { timeout = seconds of each receive (5) }.
function M.open(host, port, options)
  local timeout = options and options.timeout or 5
  port = tonumber(port)
  if type(host) ~= "string" or not port then error("udp: a host and a port are needed", 3) end
  local list, why, code = resolve.addresses(host, timeout)
  if not list then return nil, why, code end
  local handle = uv.new_udp()
  local ok, wrong, number = handle:connect(list[1], port)
  if not ok then
    handle:close()
    return nil, ("%s:%d: %s"):format(host, port, wrong), number
  end
  return adopt(handle, ("%s:%d"):format(host, port), timeout)
end

return M
