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

  local function start(listen, socket, settings)
    local conf = { agent = { listen = listen, socket = socket }, http = require("agent.config").defaults().http }
    for key, value in pairs(settings or {}) do conf.http[key] = value end
    local result
    local deps = { log = quiet, namespaces = function() return { "a.loda" } end, status = function() return {} end,
      reader = function(body) return require("agent.publish.points").reader(body, "h", 1, function() end) end }
    http.start(conf, deps, function(why, started) result = { started, why } end)
    loop.wait(function() return result end, "the server")
    return result[1], result[2]
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

  it("doesn't listen for other hosts without a token file, and names the key", function()
    for _, case in ipairs({ { "0.0.0.0:0" }, { "[::]:0" }, { "127.0.0.1:0", { loopback = "token" } } }) do
      local none, why = start(case[1], "", case[2])
      assert.is_nil(none)
      assert.matches("^http%.tokenfile: must be set", why)
    end
    local none, why = start("127.0.0.1:0", "", { tokenfile = folder .. "/none", loopback = "token" })
    assert.is_nil(none)
    assert.matches("^http%.tokenfile: .*/none: ENOENT", why)
    none, why = start("127.0.0.1:0", "", { group = "no-such-group" })
    assert.is_nil(none)
    assert.matches("^http%.group: there is no group no%-such%-group", why)
  end)

  it("takes changes from elsewhere by a token, and a new one when told to read it", function()
    program.write(folder .. "/tokens", "0123456789abcdef\n")
    uv.fs_chmod(folder .. "/tokens", tonumber("600", 8))
    server = assert(start("127.0.0.1:0", "", { tokenfile = folder .. "/tokens", loopback = "token" }))
    local port = tonumber(server:address():match("(%d+)$"))
    local function post(token)
      return raw.connect({ port = port }):send("POST /post HTTP/1.0\r\nAuthorization: Bearer " .. token
        .. "\r\n\r\n"):until_closed()
    end
    assert.matches("failed to decode json", post("0123456789abcdef"))
    program.write(folder .. "/tokens", "fedcba9876543210\n")
    server:reload()
    loop.wait(function() return server.access.token.tokens[1]:find("^fed") end, "the new token")
    assert.matches("^HTTP/1.1 401 ", post("0123456789abcdef"))
    assert.matches("^HTTP/1.1 429 .*Retry%-After: 1", post("fedcba9876543210"))
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
