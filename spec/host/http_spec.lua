-- The server binding, spoken to in bytes.
local http = require("host.http")
local loop = require("loop")
local program = require("program")
local raw = require("raw_client")
local uv = require("luv")

local H = "Host: x\r\n"

describe("host.http", function()
  local servers, seen, folder

  before_each(function()
    servers, seen, folder = {}, {}, program.folder()
  end)

  after_each(function()
    for _, server in ipairs(servers) do server:close() end
    program.remove(folder)
    loop.drain()
  end)

  -- A server on a free port. Without a handler it answers "METHOD path body" and a newline.
  local function serve(options, handler)
    options = options or {}
    if not options.path then options.ip = "127.0.0.1" end
    function options.on_request(request, reply)
      seen[#seen + 1] = request
      if handler then return handler(request, reply) end
      reply:send(200, {}, ("%s %s %s\n"):format(request.method, request.path, request.body))
    end
    local server = assert(http.listen(options))
    servers[#servers + 1] = server
    return server, options.path and { path = options.path } or { port = server:port() }
  end

  it("hands over a request as a table", function()
    local _, to = serve()
    raw.connect(to):send("POST /a%20b?x=1&y=a+b&x=2 HTTP/1.1\r\n" .. H
      .. "A: 1\r\nA: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"):until_closed()
    assert.same({ method = "POST", path = "/a b", query = { x = "1", y = "a b" }, body = "abc", version = "1.1",
      peer = "tcp", headers = { host = "x", a = "1, 2", ["content-length"] = "3", connection = "close" } }, seen[1])
  end)

  it("answers a pipeline in order, also where the first answer comes last", function()
    local waiting
    local _, to = serve({}, function(request, reply)
      if request.path == "/slow" then waiting = reply else reply:send(200, {}, request.path) end
    end)
    local client = raw.connect(to)
    client:send("GET /slow HTTP/1.1\r\n" .. H .. "\r\nGET /2 HTTP/1.1\r\n" .. H .. "\r\nGET /3 HTTP/1.0\r\n\r\n")
    loop.wait(function() return waiting end)
    assert.equal("", client.received)
    waiting:send(200, {}, "/slow")
    assert.matches("/slow.*/2.*/3$", client:until_closed())
  end)

  it("gets through a long pipeline without starving the loop", function()
    local _, to = serve()
    local client = raw.connect(to)
    local one = "GET / HTTP/1.1\r\n" .. H .. "\r\n"
    client:send(one:rep(2000) .. "GET /end HTTP/1.1\r\n" .. H .. "Connection: close\r\n\r\n"):until_closed()
    assert.equal(2001, #client:statuses())
    assert.matches("GET /end \n$", client.received)
  end)

  it("answers others in the middle of a long pipeline", function()
    local _, to = serve()
    local greedy, other = raw.connect(to), raw.connect(to)
    greedy:send(("GET / HTTP/1.1\r\n" .. H .. "\r\n"):rep(1500))
    other:send("GET /other HTTP/1.0\r\n\r\n"):until_closed()
    loop.wait(function() return #seen == 1501 end, "the pipeline")
    local position
    for i, request in ipairs(seen) do position = request.path == "/other" and i or position end
    assert.is_true(position < 500, "its turn came as number " .. position)
    greedy:close()
  end)

  it("answers HEAD with the length and without the body", function()
    local _, to = serve()
    local answer = raw.connect(to):send("HEAD / HTTP/1.0\r\n\r\n"):until_closed()
    assert.matches("Content%-Length: 8\r\n", answer)
    assert.matches("\r\n\r\n$", answer)
  end)

  it("keeps HTTP/1.1 alive, and HTTP/1.0 only when asked to", function()
    local _, to = serve()
    local client = raw.connect(to)
    client:send("GET /1 HTTP/1.1\r\n" .. H .. "\r\n"):expect("/1 \n")
    client:send("GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):expect("/2 \n")
    assert.matches("Connection: keep%-alive", client.received)
    client:send("GET /3 HTTP/1.0\r\n\r\n"):until_closed()
    assert.same({ 200, 200, 200 }, client:statuses())
  end)

  it("says 100 Continue before a body that waits for it", function()
    local _, to = serve()
    local client = raw.connect(to)
    client:send("POST / HTTP/1.1\r\n" .. H .. "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    client:expect("100 Continue")
    client:send("abc"):expect("POST / abc")
    assert.same({ 100, 200 }, client:statuses())
    client:close()
  end)

  it("refuses a body over the limit before it is sent, and the answer arrives", function()
    local _, to = serve({ body = 1000 })
    local big = ("x"):rep(3e6)
    for _, head in ipairs({ "Content-Length: 3000000\r\nExpect: 100-continue", "Content-Length: 3000000",
      "Transfer-Encoding: chunked" }) do
      local body = head:find("chunked") and "2dc6c0\r\n" .. big or big
      local client = raw.connect(to)
      client:send("POST / HTTP/1.1\r\n" .. H .. head .. "\r\n\r\n" .. body)
      client:expect("body too large\n$")
      assert.same({ 413 }, client:statuses())
      client:close()
    end
    assert.same({}, seen)
  end)

  it("lets a client that reads late have its refusal", function()
    local server, to = serve({ body = 1000 })
    local client = raw.connect(to)
    client.handle:read_stop()
    client:send("POST / HTTP/1.1\r\n" .. H .. "Content-Length: 100000\r\n\r\n" .. ("x"):rep(100000))
    loop.wait(function() return server:counters().refused == 1 end, "the refusal")
    for _ = 1, 20 do uv.run("nowait") end
    assert.equal(1, server:counters().connections) -- closed with bytes unread, it would be reset
    assert.matches("body too large\n$", client:read():until_closed())
    loop.wait(function() return server:counters().connections == 0 end, "the end of lingering")
  end)

  it("answers malformed requests with a status and closes, however they are sliced", function()
    local _, to = serve()
    for bytes, status in pairs({
      ["GET / HTTP/1.1\r\n\r\n"] = 400,
      ["GET /%zz HTTP/1.1\r\n" .. H .. "\r\n"] = 400,
      ["GET /%00 HTTP/1.1\r\n" .. H .. "\r\n"] = 400,
      ["GET /\1 HTTP/1.1\r\n" .. H .. "\r\n"] = 400,
      ["GET /\0 HTTP/1.1\r\n" .. H .. "\r\n"] = 400,
      ["POST / HTTP/1.1\r\n" .. H .. "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] = 400,
      ["POST / HTTP/1.1\r\n" .. H .. "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"] = 400,
      ["POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n1\nx"] = 400,
      ["GET / HTTP/1.1\r\n" .. H .. "A: b\r\n c\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\n" .. H .. "\n"] = 400,
      ["\22\3\1\0\200\1\0\0\196\3\3"] = 400,
      ["GET / HTTP/2.0\r\n\r\n"] = 505,
      ["BREW / HTTP/1.1\r\n" .. H .. "\r\n"] = 501,
      ["GET / HTTP/1.1\r\n" .. H .. "Expect: cake\r\n\r\n"] = 417,
      ["GET /" .. ("a"):rep(17000)] = 414,
      ["GET / HTTP/1.1\r\nA: " .. ("a"):rep(17000)] = 431,
    }) do
      for _, size in ipairs({ 100000, 3, 1 }) do
        if #bytes < 1000 or size > 3 then
          local client = raw.connect(to)
          client:send_slices(bytes, size):until_closed()
          assert.same({ status }, client:statuses(), bytes:sub(1, 60))
          assert.matches("\r\nConnection: close\r\n", client.received)
        end
      end
    end
    assert.same({}, seen)
  end)

  it("answers 500 when the handler raises or forgets, and goes on", function()
    local _, to = serve({}, function(request, reply)
      if request.path == "/raise" then error("meant to") end
      if request.path == "/ok" then reply:send(200) end
    end)
    local client = raw.connect(to)
    client:send("GET /raise HTTP/1.1\r\n" .. H .. "\r\n"):expect("internal error")
    client:send("GET /ok HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    client:send("GET /forget HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    loop.wait(function()
      collectgarbage()
      return client.closed
    end)
    assert.same({ 500, 200, 500 }, client:statuses())
    client:close()
  end)

  it("raises for an answer that can't be, and leaves the reply open", function()
    local tried = {}
    local _, to = serve({}, function(_, reply)
      for _, try in ipairs({ { 99 }, { 100 }, { 600 }, { 200, { ["A\r\n"] = "b" } }, { 200, { A = "b\r\nC: d" } },
        { 200, { A = {} } }, { 200, { ["content-length"] = "3" } }, { 200, { A = ("x"):rep(5000) } } }) do
        tried[#tried + 1] = pcall(reply.send, reply, unpack(try))
      end
      assert.is_true(reply:send(200, { A = 7 }, "fine"))
      assert.is_false(pcall(reply.send, reply, 200))
      assert.is_true(reply:gone())
    end)
    assert.matches("\r\nA: 7\r\n\r\nfine$", raw.connect(to):send("GET / HTTP/1.0\r\n\r\n"):until_closed())
    assert.same({ false, false, false, false, false, false, false, false }, tried)
  end)

  it("does nothing when it answers somebody who has gone", function()
    local waiting
    local server, to = serve({}, function(_, reply) waiting = reply end)
    local client = raw.connect(to)
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n")
    loop.wait(function() return waiting end)
    client.handle:close()
    uv.run("nowait")
    waiting:send(200, {}, ("x"):rep(1e6)) -- whether the kernel takes some of it or not
    loop.wait(function() return server:counters().connections == 0 end, "the connection to be closed")
    assert.is_true(waiting:gone())
    assert.equal(0, server:counters().memory)
  end)

  it("drops every client when it is closed, also from inside a handler", function()
    local server, to = serve({}, function() servers[1]:close() end)
    local idle, asking = raw.connect(to), raw.connect(to)
    asking:send("GET / HTTP/1.1\r\n" .. H .. "\r\nGET / HTTP/1.1\r\n" .. H .. "\r\n"):until_closed()
    idle:until_closed()
    assert.equal(0, server:port())
    server:close()
    assert.equal(1, #seen)
  end)

  it("gives up on clients that are slow with head or body, and on handlers", function()
    local kept = {}
    local _, to = serve({ head_ms = 100, body_ms = 100, answer_ms = 100, idle_ms = 100 }, function(_, reply)
      kept[#kept + 1] = reply
    end)
    local silent, head, body, answer = raw.connect(to), raw.connect(to), raw.connect(to), raw.connect(to)
    head:send("GET / HT")
    body:send("POST / HTTP/1.1\r\n" .. H .. "Content-Length: 3\r\n\r\na")
    answer:send("GET / HTTP/1.1\r\n" .. H .. "\r\n")
    for _, client in ipairs({ silent, head, body, answer }) do client:until_closed() end
    assert.same({}, silent:statuses())
    assert.same({ 408 }, head:statuses())
    assert.same({ 408 }, body:statuses())
    assert.same({ 504 }, answer:statuses())
    assert.is_false(kept[1]:send(200))
  end)

  it("drops a client that doesn't take its answer", function()
    local big = ("x"):rep(8e6)
    local server, to = serve({ write_ms = 100 }, function(_, reply) reply:send(200, {}, big) end)
    local client = raw.connect(to)
    client.handle:read_stop()
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n")
    loop.wait(function() return server:counters().memory > 1e6 end, "the answer to be held")
    loop.wait(function() return server:counters().dropped == 1 end, "the client to be dropped")
    assert.same({ 0, 0 }, { server:counters().connections, server:counters().memory })
    client:close()
  end)

  it("sends a large answer whole, and then goes on", function()
    local big = ("0123456789"):rep(500000)
    local _, to = serve({}, function(_, reply) reply:send(200, {}, big) end)
    local client = raw.connect(to)
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\nGET / HTTP/1.0\r\n\r\n"):until_closed()
    assert.same({ 200, 200 }, client:statuses())
    local _, at = client.received:find("\r\n\r\n")
    assert.is_true(client.received:sub(at + 1, at + #big) == big)
  end)

  it("makes room for a new client by dropping the one that waits longest", function()
    local server, to = serve({ connections = 3 })
    local first, second, third = raw.connect(to), raw.connect(to), raw.connect(to)
    loop.wait(function() return server:counters().connections == 3 end)
    local before = uv.now()
    loop.wait(function() return uv.now() > before end)
    second:send("GET /2 HTTP/1.1\r\n" .. H .. "\r\n"):expect("/2 \n")
    third:send("GET /3 HTTP/1.1\r\n" .. H .. "\r\n"):expect("/3 \n")
    local fourth = raw.connect(to)
    fourth:send("GET /4 HTTP/1.1\r\n" .. H .. "\r\n"):expect("/4 \n")
    first:until_closed()
    assert.equal(3, server:counters().connections)
    for _, client in ipairs({ second, third, fourth }) do client:close() end
  end)

  it("tells a new client to come later when all are at work", function()
    local kept = {}
    local _, to = serve({ connections = 2 }, function(_, reply) kept[#kept + 1] = reply end)
    local one, two = raw.connect(to), raw.connect(to)
    for _, client in ipairs({ one, two }) do client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n") end
    loop.wait(function() return #kept == 2 end)
    local third = raw.connect(to)
    assert.matches("503 Service Unavailable.*Retry%-After: 1", third:until_closed())
    one:close()
    two:close()
  end)

  it("closes a connection after its last request", function()
    local _, to = serve({ requests = 2 })
    local client = raw.connect(to)
    client:send(("GET / HTTP/1.1\r\n" .. H .. "\r\n"):rep(3)):until_closed()
    assert.same({ 200, 200 }, client:statuses())
  end)

  it("holds no more bytes than it may for all clients together", function()
    local server, to = serve({ memory = 300000, body = 200000 })
    local clients = {}
    for i = 1, 2 do
      clients[i] = raw.connect(to)
      clients[i]:send("POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n27100\r\n"
        .. ("x"):rep(159999))
      loop.wait(function() return server:counters().memory >= 159999 and (i == 1 or clients[i].closed) end)
    end
    assert.same({ 503 }, clients[2]:statuses())
    local late = raw.connect(to)
    late:send("POST / HTTP/1.1\r\n" .. H .. "Content-Length: 200000\r\n\r\n")
    assert.matches("503 .*Retry%-After", late:until_closed())
    assert.is_true(server:counters().memory <= 300000)
    for _, client in ipairs(clients) do client:close() end
  end)

  it("listens on a unix socket that every local user may use, and removes it", function()
    local path = folder .. "/a/b/agent.sock"
    local server, to = serve({ path = path })
    assert.equal(tonumber("777", 8), bit.band(uv.fs_stat(path).mode, 511))
    assert.equal(tonumber("755", 8), bit.band(uv.fs_stat(folder .. "/a/b").mode, 511))
    raw.connect(to):send("GET / HTTP/1.0\r\n\r\n"):until_closed()
    assert.equal("unix", seen[1].peer)
    server:close()
    assert.is_nil(uv.fs_stat(path))
  end)

  it("replaces a dead socket, but neither a living one nor a file", function()
    local path = folder .. "/agent.sock"
    local ignore = function() end
    serve({ path = path })
    local server, why, code = http.listen({ path = path, on_request = ignore })
    assert.same({ nil, path .. ": another process listens there: address already in use", "EADDRINUSE" },
      { server, why, code })
    raw.connect({ path = path }):send("GET / HTTP/1.0\r\n\r\n"):until_closed()
    program.write(folder .. "/file", "text")
    server, why, code = http.listen({ path = folder .. "/file", on_request = ignore })
    assert.same({ nil, "EEXIST" }, { server, code })
    assert.matches("/file: something else is at that path", why)
    local dying = serve({ path = folder .. "/dying" })
    assert(os.rename(folder .. "/dying", folder .. "/dead"))
    dying:close()
    assert.equal("socket", uv.fs_stat(folder .. "/dead").type)
    serve({ path = folder .. "/dead" })
  end)

  it("leaves another's socket alone when it is closed", function()
    local path = folder .. "/agent.sock"
    local server = serve({ path = path })
    assert(os.remove(path))
    serve({ path = path })
    server:close()
    assert.is_truthy(uv.fs_stat(path))
  end)

  it("says what can't be bound, and why", function()
    local server = serve()
    local none, why, code = http.listen({ ip = "127.0.0.1", port = server:port(), on_request = print })
    assert.same({ nil, "EADDRINUSE" }, { none, code })
    assert.matches("^127.0.0.1 port %d+: it can't be bound: address already in use$", why)
    none, why = http.listen({ ip = "localhost", port = 0, on_request = print })
    assert.is_nil(none)
    assert.matches("localhost port 0: not an IP address", why)
    none, why, code = http.listen({ path = "/" .. ("x"):rep(200), on_request = print })
    assert.same({ nil, "ENAMETOOLONG" }, { none, code })
    assert.matches("path too long", why)
    none, why = http.listen({ path = "/proc/no/agent.sock", on_request = print })
    assert.is_nil(none)
    assert.matches("its directory can't be made", why)
  end)

  it("says who is at the other end", function()
    local peers, groups = {}, {}
    local function handler(_, reply)
      peers[#peers + 1] = reply:peer()
      groups[#groups + 1] = reply:in_group(tonumber((io.popen("id -g"):read("*l"))))
      assert.is_false(reply:in_group(4294967294))
      reply:send(200)
      assert.is_nil(reply:peer())
      assert.is_false(reply:in_group(0))
    end
    local _, tcp = serve({}, handler)
    local _, unix = serve({ path = folder .. "/agent.sock" }, handler)
    for _, to in ipairs({ tcp, unix }) do raw.connect(to):send("GET / HTTP/1.0\r\n\r\n"):until_closed() end
    local gid = tonumber((io.popen("id -g"):read("*l")))
    assert.same({ { address = "127.0.0.1", loopback = true }, { uid = uv.getuid(), gid = gid, pid = uv.os_getpid() } },
      peers)
    assert.same({ false, true }, groups)
  end)

  it("compares secrets", function()
    for _, case in ipairs({ { "", "", true }, { "a", "", false }, { "", "a", false }, { "abc", "abc", true },
      { "abd", "abc", false }, { "abcabc", "abc", false }, { "ab\0c", "ab\0c", true }, { "ab\0c", "ab\0d", false } }) do
      assert.equal(case[3], http.same(case[1], case[2]))
    end
  end)

  it("sends an answer piece by piece, chunked, and to HTTP/1.0 until it closes", function()
    for version, pattern in pairs({
      ["1.1"] = "Transfer%-Encoding: chunked\r\nConnection: close\r\nA: b\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n$",
      ["1.0"] = "Connection: close\r\nA: b\r\n\r\nonetwo$",
    }) do
      local stream
      local _, to = serve({}, function(_, reply)
        assert.is_true(reply:stream(200, { A = "b" }, error))
        assert.is_false(pcall(reply.send, reply, 200))
        assert.is_true(reply:write("one"))
        assert.is_true(reply:write(""))
        stream = reply
      end)
      local client = raw.connect(to)
      client:send("GET / HTTP/" .. version .. "\r\n" .. H .. "\r\nGET /next"):expect("one")
      assert.is_true(stream:write("two"))
      assert.is_true(stream:finish())
      assert.is_false(stream:write("more"))
      assert.is_false(stream:finish())
      assert.matches(pattern, client:until_closed())
    end
  end)

  it("streams the head alone to HEAD", function()
    local begun
    local _, to = serve({}, function(_, reply) begun = reply:stream(200) end)
    assert.matches("\r\n\r\n$", raw.connect(to):send("HEAD / HTTP/1.1\r\n" .. H .. "\r\n"):until_closed())
    assert.is_false(begun)
  end)

  it("tells when the client of a stream goes, once", function()
    local gone, stream = 0, nil
    local server, to = serve({}, function(_, reply)
      stream = reply
      reply:stream(200, nil, function() gone = gone + 1 end)
    end)
    local client = raw.connect(to)
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    client:close()
    loop.wait(function() return gone > 0 end, "the end of the client")
    assert.is_true(stream:gone())
    assert.is_false(stream:write("x"))
    assert.same({ 1, 0, 0 }, { gone, server:counters().connections, server:counters().memory })
  end)

  it("drops the client of a stream that doesn't take it, with a bounded amount waiting", function()
    local gone, stream = 0, nil
    local server, to = serve({}, function(_, reply)
      stream = reply
      reply:stream(200, nil, function() gone = gone + 1 end)
    end)
    local client = raw.connect(to)
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    client.handle:read_stop()
    local piece, pieces, most = ("x"):rep(10000), 0, 0
    while stream:write(piece) do
      pieces = pieces + 1
      most = math.max(most, server:counters().memory)
      assert.is_true(pieces < 10000)
      uv.run("nowait")
    end
    assert.is_true(most <= 300000, most)
    assert.same({ 1, 1 }, { gone, server:counters().dropped })
    client:close()
  end)

  it("sends what is waiting of a stream before it ends", function()
    local stream
    local _, to = serve({}, function(_, reply)
      stream = reply
      reply:stream(200)
    end)
    local client = raw.connect(to)
    client:send("GET / HTTP/1.0\r\n\r\n"):expect("200 OK")
    client.handle:read_stop()
    local sent, server = 0, servers[#servers]
    while server:counters().memory < 100000 do
      assert.is_true(stream:write(("x"):rep(10000)))
      sent = sent + 10000
    end
    stream:finish()
    client:read():until_closed()
    assert.equal(sent, #client.received:match("\r\n\r\n(.*)$"))
  end)

  it("cuts off the stream of a handler that forgets it, and of a server that closes", function()
    local gone = 0
    local server, to = serve({}, function(request, reply)
      reply:stream(200, nil, function() gone = gone + 1 end)
      if request.path == "/keep" then servers.kept = reply end
    end)
    local forgotten, kept = raw.connect(to), raw.connect(to)
    forgotten:send("GET / HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    kept:send("GET /keep HTTP/1.1\r\n" .. H .. "\r\n"):expect("200 OK")
    loop.wait(function()
      collectgarbage()
      return forgotten.closed
    end)
    assert.equal(0, gone)
    server:close()
    kept:until_closed()
    assert.equal(1, gone)
    forgotten:close()
  end)

  it("gives an answer again to the same bytes, as long as it may", function()
    local calls, keep = 0, 1000
    local server, to = serve({}, function(_, reply)
      calls = calls + 1
      reply:keep(keep)
      reply:send(200, { A = "b" }, "answer " .. calls)
    end)
    local one = "GET / HTTP/1.1\r\n" .. H .. "\r\n"
    local client = raw.connect(to)
    local function ask(bytes, slice)
      client.received = ""
      client:send_slices(bytes, slice or #bytes):expect("A: b\r\n\r\nanswer %d+$")
      return tonumber(client.received:match("answer (%d+)$"))
    end
    local function again()
      for _ = 1, 5 do -- not across the end of a second: the Date would be wrong
        local first = ask(one)
        if ask(one) == first then return first end
      end
    end
    local first = assert.is_number(again())
    assert.is_true(ask("GET / HTTP/1.1\r\nHost: y\r\n\r\n") > calls - 1) -- other bytes may have another answer
    assert.equal(calls + 1, ask(one, 1)) -- pieces are read as ever
    server:forget()
    assert.equal(calls + 1, ask(one))
    keep = 1
    server:forget()
    local before, brief = uv.now(), ask(one)
    loop.wait(function() return uv.now() > before + 2 end)
    assert.is_true(ask(one) > brief)
    client:send(one:rep(3) .. "GET / HTTP/1.0\r\n\r\n"):until_closed()
    assert.is_true(server:counters().requests > calls and first ~= nil)
    client = raw.connect(to):send("HEAD / HTTP/1.0\r\n\r\n")
    assert.matches("\r\n\r\n$", client:until_closed())
  end)

  it("gives nothing again that came late, has a body, or ends its connection", function()
    local calls, waiting = 0, nil
    local _, to = serve({ requests = 3 }, function(request, reply)
      calls = calls + 1
      reply:keep(1000)
      if request.path == "/late" then waiting = reply else reply:send(200, {}, "answer " .. calls) end
    end)
    local client = raw.connect(to)
    for i = 1, 2 do
      client:send("GET /late HTTP/1.1\r\n" .. H .. "\r\n")
      loop.wait(function() return waiting end)
      waiting:send(200, {}, "late " .. i)
      waiting = nil
      client:expect("late " .. i .. "$")
    end
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n"):until_closed()
    client = raw.connect(to)
    for i = 4, 5 do
      client:send("POST / HTTP/1.1\r\n" .. H .. "Content-Length: 1\r\n\r\nx"):expect("answer " .. i .. "$")
    end
    client:send("GET / HTTP/1.1\r\n" .. H .. "\r\n"):until_closed()
    assert.matches("answer 6$", client.received)
  end)

  it("raises on options that can't be", function()
    for _, options in ipairs({ {}, { ip = "127.0.0.1" }, { ip = "::1", path = "/x", on_request = print },
      { ip = "::1", port = 70000, on_request = print }, { ip = "::1", port = 0, body = -1, on_request = print } }) do
      assert.is_false(pcall(http.listen, options))
    end
  end)
end)
