-- The binding host.nsq, against scripted peers.
local certificates = require("certificates")
local loop = require("loop")
local nsq = require("host.nsq")
local peers = require("peer")
local program_of = require("program")

local OK = peers.frame(0, "OK")

describe("host.nsq", function()
  local peer, connection, closed, ready, reply

  local function connect(serve, options)
    peer = serve and peers.start(serve)
    ready, closed, reply = nil, nil, nil
    options = options or {}
    options.ip, options.port = options.ip or "127.0.0.1", options.port or peer.port
    options.identify = "{}"
    local plan = options.plan
    options.negotiate = function(text)
      reply = text
      return plan
    end
    options.on_ready = function() ready = true end
    options.on_closed = function(err) closed = err or "in peace" end
    connection = assert(nsq.connect(options))
    if serve then loop.wait(function() return ready or closed end, "the connection") end
  end

  local function greet_and_hang(c)
    c:greet()
    c:hang()
  end

  after_each(function()
    if connection then
      connection:close()
      loop.wait(function() return closed end, "on_closed")
    end
    if peer then peer:stop() end
    connection, peer = nil, nil
    loop.drain()
  end)

  it("hands over nsqd's answer to IDENTIFY", function()
    connect(function(c)
      c:greet('{"version":"1.3.0"}')
      c:hang()
    end)
    assert.equal('{"version":"1.3.0"}', reply)
  end)

  it("sends AUTH after IDENTIFY, and is ready when nsqd has answered it", function()
    local command, secret
    connect(function(c)
      c:greet()
      command, secret = c:command()
      assert(not ready)
      c:write(peers.frame(0, '{"identity":"web07"}'))
      c:hang()
    end, { plan = { secret = "s3cret" } })
    assert.is_true(ready)
    assert.same({ "AUTH", "s3cret" }, { command, secret })
  end)

  it("ends with nsqd's reason when AUTH is refused", function()
    connect(function(c)
      c:greet()
      c:command()
      c:write(peers.frame(1, "E_AUTH_FAILED AUTH failed"))
      c:close()
    end, { plan = { secret = "wrong" } })
    assert.is_nil(ready)
    assert.same({ code = "E_AUTH_FAILED", message = "E_AUTH_FAILED AUTH failed" }, closed)
  end)

  it("ends when the plan can't be followed", function()
    for _, plan in ipairs({ false, { tls = "no maker" }, { secret = ("x"):rep(70000) } }) do
      if connection then
        connection:close()
        peer:stop()
      end
      connect(greet_and_hang, { plan = plan })
      assert.is_nil(ready)
      assert.equal("in peace", closed)
    end
  end)

  it("does not take what was said in plain text for what came through TLS", function()
    require("agent.worker.modules").enable()
    local folder = program_of.folder()
    certificates.make(folder)
    local maker = assert(require("tls").client({ ca = program_of.read(folder .. "/ca.pem") }))
    program_of.remove(folder)
    connect(function(c)
      c:command()
      c:write(peers.frame(0, '{"tls_v1":true}') .. OK)
      c:hang()
    end, { plan = { tls = maker, name = "localhost" } })
    assert.is_nil(ready)
    assert.equal("ETLS", closed.code)
    assert.matches("plain text", closed.message)
  end)

  it("says why there is no TLS", function()
    require("agent.worker.modules").enable()
    local folder = program_of.folder()
    certificates.make(folder)
    local maker = assert(require("tls").client({ ca = program_of.read(folder .. "/ca.pem") }))
    program_of.remove(folder)
    connect(function(c)
      c:greet('{"tls_v1":true}')
      c:read(5)
      c:write("this is no TLS record")
      c:hang()
    end, { plan = { tls = maker, name = "localhost" } })
    assert.equal("ETLS", closed.code)
    assert.matches("^TLS: ", closed.message)
  end)

  it("raises on what only a caller can do wrong", function()
    assert.has_error(function() nsq.connect() end)
    assert.has_error(function() nsq.connect({ ip = "127.0.0.1", port = 4150 }) end)
    assert.has_error(function() nsq.connect({ ip = "127.0.0.1", port = -1, identify = "{}" }) end)
    connect(greet_and_hang)
    local function done() end
    assert.has_error(function() connection:mpub("no topic", { { "a", "b" } }, done) end)
    assert.has_error(function() connection:mpub("t", {}, done) end)
    assert.has_error(function() connection:mpub("t", { "a" }, done) end)
    assert.has_error(function() connection:mpub("t", { { "a", "b" }, { "a" } }, done) end)
    assert.has_error(function() connection:mpub("t", { { "a", 1 } }, done) end)
    assert.has_error(function() connection:mpub("t", { { "a", "b" } }) end)
    assert.equal(0, connection:inflight())
  end)

  it("sends nothing of a batch that it refused", function()
    local got
    connect(function(c)
      c:greet()
      got = { c:command() }
      c:write(OK)
      c:hang()
    end)
    local function never() error("called") end
    pcall(connection.mpub, connection, "t", { { "a", "b" }, { "a" } }, never)
    local big = ("x"):rep(1024 * 1024)
    local _, _, code = connection:mpub("t", { { "a", "b" }, { "a", big } }, never)
    assert.equal("ENOBUFS", code)
    _, _, code = connection:mpub("t", { { big, "" }, { big, "" }, { big, "" }, { big, "" }, { big, "" } }, never)
    assert.equal("ENOBUFS", code)
    local answer
    assert.is_true(connection:mpub("t", { { "last", "" } }, function(err) answer = err or "ok" end))
    loop.wait(function() return answer end, "the answer")
    assert.same({ "PUB t", "last" }, got)
  end)

  it("bounds what nsqd doesn't take, and still tells of each batch", function()
    local big, accepted, failed = ("x"):rep(1024 * 1024), 0, 0
    connect(function(c)
      c:greet()
      c:deaf()
    end)
    local code
    repeat
      local sent, _, why = connection:mpub("t", { { big, "" } }, function(err)
        assert(err.code == "ECANCELED")
        failed = failed + 1
      end)
      code = why
      accepted = accepted + (sent and 1 or 0)
    until code
    assert.equal("ENOBUFS", code)
    assert.equal(7, accepted)
    loop.wait(function() return peer.accepted == 1 end, "the peer")
    require("luv").run("nowait")
    local big4 = { { big, "" }, { big, "" }, { big, "" }, { big, "" } }
    local _, _, full = connection:mpub("t", big4, function() end)
    assert.equal("ENOBUFS", full)
    connection:close()
    assert.equal(7, failed)
  end)

  it("has at most 64 batches in flight", function()
    connect(greet_and_hang)
    for _ = 1, 64 do assert.is_true(connection:mpub("t", { { "a", "b" } }, function() end)) end
    assert.equal(64, connection:inflight())
    local _, _, code = connection:mpub("t", { { "a", "b" } }, function() end)
    assert.equal("EAGAIN", code)
  end)

  it("answers in order, over many turns of the window", function()
    connect(function(c)
      c:greet()
      while true do
        c:command()
        c:write(OK)
      end
    end)
    local order, sent = {}, 0
    local function more()
      while sent < 500 and connection:inflight() < 20 do
        sent = sent + 1
        local n = sent
        connection:mpub("t", { { tostring(n), "" } }, function(err)
          assert(not err)
          order[#order + 1] = n
          more()
        end)
      end
    end
    more()
    loop.wait(function() return #order == 500 end, "500 answers")
    for i = 1, 500 do assert.equal(i, order[i]) end
  end)

  it("takes the silence of two heartbeats for nsqd's death", function()
    connect(greet_and_hang, { heartbeat_ms = 50 })
    loop.wait(function() return closed end, "the end")
    assert.equal("ETIMEDOUT", closed.code)
    assert.equal("no heartbeat from nsqd", closed.message)
  end)

  it("is not kept alive by heartbeats when an answer is missing", function()
    local beating = true
    connect(function(c)
      c:greet()
      c:command()
      while beating do
        c:write(peers.frame(0, "_heartbeat_"))
        c:command()
      end
    end, { ack_ms = 200 })
    local answer
    connection:mpub("t", { { "a", "b" } }, function(err) answer = err end)
    loop.wait(function() return answer end, "the failure")
    beating = false
    assert.equal("ETIMEDOUT", answer.code)
  end)

  it("says why there is no connection", function()
    connect(nil, { port = loop.free_port() })
    loop.wait(function() return closed end, "the end")
    assert.equal("ECONNREFUSED", closed.code)
    local _, _, code = connection:mpub("t", { { "a", "b" } }, function() end)
    assert.equal("ENOTCONN", code)
    assert.equal(0, connection:inflight())
    _, _, code = nsq.connect({ ip = "not.numeric", port = 1, identify = "{}" })
    assert.equal("EINVAL", code)
  end)

  it("may be closed before it is connected, twice, and from a callback", function()
    connect(nil, { port = loop.free_port() })
    connection:close()
    connection:close()
    loop.wait(function() return closed end, "the end")
    assert.equal("in peace", closed)
    connect(function(c)
      c:greet()
      c:command()
      c:command()
      c:write(OK .. OK)
      c:hang()
    end)
    local answers = {}
    for i = 1, 2 do
      connection:mpub("t", { { "a", "b" } }, function(err)
        answers[i] = err and err.code or "ok"
        connection:close()
      end)
    end
    loop.wait(function() return closed end, "the end")
    assert.same({ "ok", "ECANCELED" }, answers)
  end)

  it("ends with a state that closes under it", function()
    local program = os.tmpname()
    peer = peers.start(greet_and_hang)
    local f = io.open(program, "w")
    f:write(([[
      require("host.nsq").connect({ ip = "127.0.0.1", port = %d, identify = "{}", on_ready = function()
        print("ready")
        require("luv").stop()
      end, on_closed = function() print("never") end })
    ]]):format(peer.port))
    f:close()
    local result
    assert(require("host.exec").run({ argv = { os.getenv("AGENT") or "/proc/self/exe", "lua", program },
      deadline_ms = 5000 }, function(r) result = r end))
    loop.wait(function() return result end, "the program")
    os.remove(program)
    assert.equal("ready\n", result.stdout)
    assert.equal(0, result.code)
  end)
end)
