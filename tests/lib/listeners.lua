-- TCP listeners that nobody serves, below libuv, which would accept at once: for ports that are open, and
-- for ports that never answer.

local ffi = require("ffi")

ffi.cdef([[
  struct listeners_address { uint16_t family, port; uint32_t flow; uint8_t ip[16]; uint32_t scope; };
  int socket(int, int, int);
  int bind(int, const void *, unsigned);
  int listen(int, int);
  int connect(int, const void *, unsigned);
  int accept(int, void *, unsigned *);
  int getsockname(int, void *, unsigned *);
  int close(int);
]])

local M = {}

local INET, INET6, STREAM, NONBLOCK = 2, 10, 1, 2048

local function address(family, port)
  local at = ffi.new("struct listeners_address", { family = family, port = port })
  if family == INET then
    at.flow = 0x0100007f -- 127.0.0.1, at the place of sin_addr
    return at, 16
  end
  at.ip[15] = 1
  return at, 28
end

--- Listens at a free port. options: ipv6, backlog. Returns { port =, connect(), accept(), close() }.
function M.listen(options)
  options = options or {}
  local family = options.ipv6 and INET6 or INET
  local fd = ffi.C.socket(family, STREAM, 0)
  local at, size = address(family, 0)
  assert(ffi.C.bind(fd, at, size) == 0, "bind")
  assert(ffi.C.listen(fd, options.backlog or 16) == 0, "listen")
  ffi.C.getsockname(fd, at, ffi.new("unsigned[1]", size))
  local clients = {}
  local listener = { port = bit.bor(bit.lshift(bit.band(at.port, 255), 8), bit.rshift(at.port, 8)) }
  function listener.connect()
    local client = ffi.C.socket(family, STREAM + NONBLOCK, 0)
    ffi.C.connect(client, at, size)
    clients[#clients + 1] = client
  end
  -- Takes one connection from the queue.
  function listener.accept() clients[#clients + 1] = ffi.C.accept(fd, nil, nil) end
  function listener.close()
    for _, client in ipairs(clients) do ffi.C.close(client) end
    ffi.C.close(fd)
  end
  return listener
end

--- A port that never answers: its queue holds one connection and is full, so the kernel drops what follows.
function M.silent()
  local listener = M.listen({ backlog = 0 })
  listener.connect()
  return listener
end

--- A port that nobody listens on.
function M.closed_port()
  local listener = M.listen()
  listener.close()
  return listener.port
end

return M
