-- A scripted NTP server on loopback.

local uv = require("luv")

local M = {}

local function be32(n)
  local function byte(shift) return math.floor(n / 2 ^ shift) % 256 end
  return string.char(byte(24), byte(16), byte(8), byte(0))
end

local function timestamp(unix)
  local whole = math.floor(unix)
  return be32(whole + 2208988800) .. be32((unix - whole) * 2 ^ 32)
end

--- The reply of a server whose clock shows `now`; fields overrides: leap, version, mode, stratum, reference
--- (4 bytes), origin (8 bytes), root_delay, root_dispersion (seconds), transmit (unix seconds).
function M.reply(request, now, fields)
  local f = setmetatable(fields or {}, { __index = {
    leap = 0, version = 4, mode = 4, stratum = 2, reference = "GPS\0", origin = request:sub(41, 48),
    root_delay = 0.01, root_dispersion = 0.01, transmit = now,
  } })
  return string.char(f.leap * 64 + f.version * 8 + f.mode, f.stratum, 6, 236) ..
    be32(f.root_delay * 65536) .. be32(f.root_dispersion * 65536) .. f.reference ..
    timestamp(now - 60) .. f.origin .. timestamp(now) .. timestamp(f.transmit)
end

--- Starts a server; script(n, request, send, from) answers the n-th request with send(bytes).
--- Returns { address, port, asked (count), requests, close }.
function M.start(script)
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  local server = { port = socket:getsockname().port, asked = 0, requests = {} }
  server.address = "127.0.0.1:" .. server.port
  socket:recv_start(function(_, request, from)
    if not request then return end
    server.asked = server.asked + 1
    server.requests[server.asked] = request
    script(server.asked, request, function(bytes) socket:try_send(bytes, from.ip, from.port) end, from)
  end)
  function server.close()
    if not socket:is_closing() then socket:close() end
  end
  return server
end

return M
