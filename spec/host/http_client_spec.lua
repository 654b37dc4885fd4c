-- The binding host.http_client, against scripted peers; what nsqd's HTTP may do is in publish/nsq_spec.lua.
local loop = require("loop")
local http_client = require("host.http_client")
local peers = require("peer")

describe("host.http_client", function()
  local peer, connection, closed

  local function connect(serve, options)
    peer = serve and peers.start(serve)
    options = options or {}
    local ready = false
    closed = nil
    options.ip, options.port = options.ip or "127.0.0.1", options.port or peer.port
    options.on_ready = function() ready = true end
    options.on_closed = function(err) closed = err or "in peace" end
    connection = assert(http_client.connect(options))
    if serve then loop.wait(function() return ready or closed end, "the connection") end
  end

  local function post(pieces)
    local answer
    local sent, message, code = connection:post("/path?a=b", "Host: x\r\n", pieces, function(err, status, body)
      answer = err or { status = status, body = body }
    end)
    if not sent then return { message = message, code = code } end
    loop.wait(function() return answer end, "the answer")
    return answer
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

  it("sends the pieces as one body and hands the answer over", function()
    local got
    connect(function(c)
      got = c:read_until("\r\n\r\n") .. c:read(5)
      c:write("HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\nno!")
      c:hang()
    end)
    assert.same({ status = 418, body = "no!" }, post({ "ab", "", "cde" }))
    assert.equal("POST /path?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", got)
    assert.is_true(connection:idle())
  end)

  it("takes one request at a time", function()
    connect(function(c) c:hang() end)
    connection:post("/", "", {}, function() end)
    assert.is_false(connection:idle())
    assert.equal("EAGAIN", post({}).code)
  end)

  it("takes a body that leaves in many writes", function()
    local big = ("0123456789"):rep(500000)
    local got
    connect(function(c)
      c:read_until("\r\n\r\n")
      got = c:read(#big)
      c:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      c:hang()
    end)
    assert.equal(200, post({ big }).status)
    assert.is_true(got == big)
    assert.equal("ENOBUFS", post({ big, big }).code)
  end)

  it("raises on what only a caller can do wrong", function()
    assert.has_error(function() http_client.connect({ ip = 1 }) end)
    assert.has_error(function() http_client.connect({ ip = "127.0.0.1", port = 0 }) end)
    connect(function(c) c:hang() end)
    local function done() end
    assert.has_error(function() connection:post("no target", "", {}, done) end)
    assert.has_error(function() connection:post("/a b", "", {}, done) end)
    assert.has_error(function() connection:post("/\r\nX: y", "", {}, done) end)
    assert.has_error(function() connection:post("/", "Host: x", {}, done) end)
    assert.has_error(function() connection:post("/", "", { 1 }, done) end)
    assert.has_error(function() connection:post("/", "", {}) end)
    assert.is_true(connection:idle())
  end)

  it("closes in peace when the server ends an idle connection", function()
    connect(function() end)
    loop.wait(function() return closed end, "the end")
    assert.equal("in peace", closed)
    assert.equal("ENOTCONN", post({}).code)
  end)

  it("does not take an answer that nobody asked for", function()
    connect(function(c)
      c:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      c:hang()
    end)
    loop.wait(function() return closed end, "the end")
    assert.equal("EPROTO", closed.code)
  end)

  it("says why there is no connection", function()
    connect(nil, { port = loop.free_port() })
    loop.wait(function() return closed end, "the end")
    assert.equal("ECONNREFUSED", closed.code)
    local _, _, code = http_client.connect({ ip = "example.org", port = 80 })
    assert.equal("EINVAL", code)
  end)

  it("fails the waiting request when it is closed", function()
    connect(function(c) c:hang() end)
    local answer
    connection:post("/", "", {}, function(err) answer = err end)
    connection:close()
    assert.equal("ECANCELED", answer.code)
  end)
end)
