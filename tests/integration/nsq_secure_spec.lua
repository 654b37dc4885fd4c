-- The output `nsq` against a real nsqd with TLS, client certificates, AUTH and DEFLATE, over TCP and HTTPS.
local certificates = require("certificates")
local loop = require("loop")
local nsq = require("agent.publish.nsq")
local nsqd = require("nsqd")
local peers = require("peer")
local program = require("program")

local missing = nsqd.missing()
local with_nsqd = missing and function(name)
  pending(name .. " (" .. missing .. ")", function() end)
end or it

local folder, output

local function path(name) return folder .. "/" .. name end

local function open(servers, conf)
  conf.servers = servers
  for _, key in ipairs({ "tlsca", "tlscert", "tlskey", "authsecret" }) do
    conf[key] = conf[key] and path(conf[key])
  end
  output = assert(nsq.new(conf, { clock = require("host.clock") }))
end

local function numbered(count, size)
  local messages = {}
  for i = 1, count do messages[i] = { ('{"number":%d,"points":'):format(i), ("x"):rep(size or i) .. "}" } end
  return messages
end

-- Sends as long as there is room and until all is acknowledged; each message is a batch of its own topic's.
local function publish(topic, messages)
  local next_one, left = 1, #messages
  local function pump()
    while messages[next_one] and output:room() do
      local message = messages[next_one]
      next_one = next_one + 1
      output:send({ topic = topic, messages = { message }, bytes = #message[1] + #message[2] }, function(err)
        assert(not err, err and err.message)
        left = left - 1
      end)
    end
  end
  output.on_room = pump
  pump()
  loop.wait(function()
    pump()
    return left == 0
  end, "acknowledgements", 20000)
end

local function expect(server, topic, messages)
  local got = server:read(topic, #messages)
  local wanted = {}
  for i, message in ipairs(messages) do wanted[i] = message[1] .. message[2] end
  table.sort(wanted)
  table.sort(got)
  assert.same(wanted, got)
end

local function wait_for_error()
  loop.wait(function() return output:status().last_error end, "an error", 15000)
  return output:status().last_error
end

local function tls_arguments(more)
  local arguments = { "--tls-cert=" .. path("server.pem"), "--tls-key=" .. path("server.key") }
  for _, one in ipairs(more or {}) do arguments[#arguments + 1] = one end
  return arguments
end

-- What an nsqd asks before it lets anybody publish: here who knows the secret may do everything.
local function start_auth_server(secret)
  return peers.start(function(c)
    local head = c:read_until("\r\n\r\n")
    local body = '{"message":"NOT_AUTHORIZED"}'
    local known = head:find("secret=" .. secret, 1, true)
    if known then
      body = '{"ttl":3600,"identity":"web07","identity_url":"","authorizations":[{"permissions":'
        .. '["publish","subscribe"],"topic":".*","channels":[".*"]}]}'
    end
    c:write(("HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s")
      :format(known and "200 OK" or "403 Forbidden", #body, body))
  end)
end

describe("output nsq with a real nsqd", function()
  local auth

  setup(function()
    folder = program.folder()
    certificates.make(folder)
    program.write(path("secret"), "s3cret\n")
    program.write(path("wrong"), "wrong\n")
  end)
  teardown(function() program.remove(folder) end)
  after_each(function()
    if output then
      local closed = false
      output:close(function() closed = true end)
      loop.wait(function() return closed end, "the output to close")
    end
    output = nil
    nsqd.stop_all()
    if auth then auth:stop() end
    auth = nil
    loop.drain()
  end)

  with_nsqd("publishes through TLS, with a client certificate that nsqd demands", function()
    local server = nsqd.start(tls_arguments({ "--tls-client-auth-policy=require-verify",
      "--tls-root-ca-file=" .. path("ca.pem") }))
    open({ "tcp://localhost:" .. server.tcp_port },
      { tls = true, tlsca = "ca.pem", tlscert = "client.pem", tlskey = "client.key" })
    local messages = numbered(200)
    messages[201] = { "large", ("y"):rep(1000000) }
    publish("collect.tls", messages)
    server:halt() -- the reader of these tests knows no TLS
    server.arguments = {}
    server:launch()
    expect(server, "collect.tls", messages)
  end)

  with_nsqd("publishes with DEFLATE", function()
    local server = nsqd.start()
    open({ "tcp://127.0.0.1:" .. server.tcp_port }, { compress = true })
    local messages = numbered(200)
    messages[201] = { "large", ("y"):rep(1000000) }
    publish("collect.deflate", messages)
    expect(server, "collect.deflate", messages)
  end)

  with_nsqd("publishes with TLS, DEFLATE and AUTH together", function()
    auth = start_auth_server("s3cret")
    local server = nsqd.start(tls_arguments({ "--auth-http-address=127.0.0.1:" .. auth.port }), "s3cret")
    open({ "tcp://localhost:" .. server.tcp_port },
      { tls = true, tlsca = "ca.pem", compress = true, authsecret = "secret" })
    local messages = numbered(100)
    publish("collect.all", messages)
    expect(server, "collect.all", messages)
  end)

  with_nsqd("says it when nsqd doesn't know the secret, or wants one that is not configured", function()
    auth = start_auth_server("s3cret")
    local server = nsqd.start({ "--auth-http-address=127.0.0.1:" .. auth.port })
    open({ "tcp://127.0.0.1:" .. server.tcp_port }, { authsecret = "wrong" })
    assert.matches("^E_AUTH", wait_for_error().code)
    output:close()
    open({ "tcp://127.0.0.1:" .. server.tcp_port }, {})
    assert.matches("output.authsecret", wait_for_error().message)
  end)

  with_nsqd("tells an nsqd nothing whose certificate is for another name or of another authority", function()
    local server = nsqd.start(tls_arguments())
    local cases = {
      { { tls = true, tlsca = "ca.pem", tlsname = "other.example.org" }, "hostname mismatch" },
      { { tls = true, tlsca = "stranger.pem" }, "certificate is refused" },
      { { tls = true, tlsca = "nowhere.pem" }, "nowhere.pem" },
      { { tls = true, tlsca = "secret" }, "no certificate of an authority" },
    }
    for _, case in ipairs(cases) do
      open({ "tcp://localhost:" .. server.tcp_port }, case[1])
      assert.matches(case[2], wait_for_error().message)
      assert.is_false(output:room())
      output:close()
    end
  end)

  with_nsqd("does not publish in plain text where TLS is demanded", function()
    local server = nsqd.start()
    open({ "tcp://localhost:" .. server.tcp_port }, { tls = true, tlsca = "ca.pem" })
    assert.matches("does not speak TLS", wait_for_error().message)
  end)

  with_nsqd("uses a renewed certificate of the authority without a restart", function()
    local server = nsqd.start(tls_arguments())
    program.write(path("changing.pem"), program.read(path("stranger.pem")))
    open({ "tcp://localhost:" .. server.tcp_port }, { tls = true, tlsca = "changing.pem" })
    wait_for_error()
    program.write(path("changing.pem"), program.read(path("ca.pem")))
    publish("collect.renewed", numbered(3))
  end)

  with_nsqd("publishes over HTTPS", function()
    local port = loop.free_port()
    local server = nsqd.start(tls_arguments({ "--https-address=127.0.0.1:" .. port }))
    open({ "https://localhost:" .. port }, { tlsca = "ca.pem" })
    local messages = numbered(50, 5000)
    publish("collect.https", messages)
    expect(server, "collect.https", messages)
    output:close()
    open({ "https://localhost:" .. port }, { tlsca = "ca.pem", tlsname = "other.example.org" })
    assert.matches("hostname mismatch", wait_for_error().message)
  end)

  with_nsqd("uses several connections over HTTP while all are busy", function()
    local server = nsqd.start()
    open({ "http://127.0.0.1:" .. server.http_port }, {})
    local messages = numbered(400, 2000)
    local most = 0
    local send = output.send
    function output:send(...)
      send(self, ...)
      most = math.max(most, self:status().inflight)
    end
    publish("collect.http", messages)
    expect(server, "collect.http", messages)
    assert.is_true(most > 1, "never more than one request at once")
  end)
end)
