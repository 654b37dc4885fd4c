local http = require("agent.http")
local loop = require("loop")
local program = require("program")
local raw = require("raw_client")
local uv = require("luv")

local quiet = { info = function() end }

describe("the control API's addresses", function()
  it("are an IP address and a port, as the Go agent's were", function()
    for text, wanted in pairs({
      ["127.0.0.1:1232"] = { "127.0.0.1", 1232 },
      ["0.0.0.0:0"] = { "0.0.0.0", 0 },
      [":1232"] = { "0.0.0.0", 1232 },
      ["localhost:1"] = { "127.0.0.1", 1 },
      ["[::1]:1232"] = { "::1", 1232 },
    }) do
      assert.same(wanted, { http.parse_address(text) })
    end
  end)

  it("are refused in other forms", function()
    for _, text in ipairs({ "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:1232", "1232" }) do
      local ip, why = http.parse_address(text)
      assert.same({ nil, "agent.listen: " .. text .. " is not IP:PORT" }, { ip, why })
    end
  end)
end)

describe("the control API", function()
  local folder, server

  before_each(function() folder = program.folder() end)

  after_each(function()
    if server then server:close() end
    server = nil
    program.remove(folder)
    loop.drain()
  end)

  local function start(listen, socket)
    local deps = { log = quiet, namespaces = function() return { "a.loda" } end, status = function() return {} end }
    return http.start({ agent = { listen = listen, socket = socket } }, deps)
  end

  it("listens on both addresses, or on the one that is there", function()
    server = assert(start("127.0.0.1:0", folder .. "/agent.sock"))
    local port = tonumber(server:address():match("^127%.0%.0%.1:(%d+)$"))
    for _, to in ipairs({ { port = port }, { path = folder .. "/agent.sock" } }) do
      assert.matches('%["a.loda"%]$', raw.connect(to):send("GET /me/ns HTTP/1.0\r\n\r\n"):until_closed())
    end
    assert.same({ 1, 1 }, { server:counters().tcp.requests, server:counters().unix.requests })
    server:close()
    server = assert(start("", folder .. "/agent.sock"))
    assert.is_nil(server:address())
    server:close()
    server = assert(start("127.0.0.1:0", ""))
    assert.is_string(server:address())
  end)

  it("names the key that can't be bound, and leaves nothing open", function()
    server = assert(start("127.0.0.1:0", ""))
    local none, why = start(server:address(), folder .. "/agent.sock")
    assert.is_nil(none)
    assert.matches("^agent%.listen: 127%.0%.0%.1 port %d+: it can't be bound: address already in use$", why)
    program.write(folder .. "/agent.sock", "a file")
    none, why = start("127.0.0.1:0", folder .. "/agent.sock")
    assert.is_nil(none)
    assert.matches("^agent%.socket: .*/agent%.sock: something else is at that path: file already exists$", why)
    assert.equal("file", uv.fs_stat(folder .. "/agent.sock").type)
  end)

  it("listens on IPv6 where the host has it", function()
    local why
    server, why = start("[::1]:0", "")
    if not server then
      assert.matches("address", why)
      return
    end
    assert.matches("^%[::1%]:%d+$", server:address())
  end)
end)
