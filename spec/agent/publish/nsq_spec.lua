-- The output `nsq` against scripted peers on the loopback.
local loop = require("loop")
local peers = require("peer")
local nsq = require("agent.publish.nsq")
local parts = require("agent.publish.parts")
local servers = require("agent.publish.servers")
local frame = peers.frame

local OK = frame(0, "OK")

local function batch_of(topic, ...)
  local batch = { topic = topic, messages = {}, bytes = 0 }
  for i, message in ipairs({ ... }) do
    batch.messages[i] = { message, "" }
    batch.bytes = batch.bytes + #message
  end
  return batch
end

describe("output nsq", function()
  local output, open_peers, answers

  local function peer(serve)
    local p = peers.start(serve)
    open_peers[#open_peers + 1] = p
    return p
  end

  local function open(list, env)
    env = env or {}
    env.clock = require("host.clock")
    env.ack_ms, env.connect_ms = env.ack_ms or 5000, env.connect_ms or 5000
    env.random = env.random or function() return 0 end
    output = assert(nsq.new({ servers = list }, env))
    return output
  end

  local function tcp(p) return "tcp://127.0.0.1:" .. p.port end
  local function http(p) return "http://127.0.0.1:" .. p.port end

  local function connected()
    loop.wait(function() return output:room() end, "room")
  end

  -- Sends a batch; its answer appears in answers[i]: "ok", "refused CODE" or "failed CODE".
  local function send(i, batch)
    output:send(batch, function(err)
      assert(not answers[i], "answered twice")
      answers[i] = not err and "ok" or (err.permanent and "refused " or "failed ") .. err.code
      answers[-i] = err
    end)
  end

  local function answered(n)
    loop.wait(function()
      for i = 1, n do if not answers[i] then return false end end
      return true
    end, n .. " answers")
  end

  before_each(function()
    open_peers, answers, output = {}, {}, nil
  end)

  after_each(function()
    local closed = not output
    if output then output:close(function() closed = true end) end
    loop.wait(function() return closed end, "the output to close")
    for _, p in ipairs(open_peers) do p:stop() end
    loop.drain()
  end)

  describe("over tcp", function()
    it("identifies itself and publishes one message as PUB, several as MPUB", function()
      local got = {}
      open({ tcp(peer(function(c)
        got[1] = { c:command() }
        c:write(frame(0, "OK"))
        for i = 2, 3 do
          got[i] = { c:command() }
          c:write(OK)
        end
        c:hang()
      end)) })
      connected()
      send(1, batch_of("a.b", "alone"))
      send(2, batch_of("a.b", "one", "three"))
      answered(2)
      assert.same({ "ok", "ok" }, answers)
      local identity = require("cjson").decode(got[1][2])
      assert.equal("IDENTIFY", got[1][1])
      assert.matches("^agent/", identity.user_agent)
      assert.equal(require("luv").os_gethostname(), identity.hostname)
      assert.is_true(identity.feature_negotiation)
      assert.same({ "PUB a.b", "alone" }, got[2])
      assert.same({ "MPUB a.b", "\0\0\0\2\0\0\0\3one\0\0\0\5three" }, got[3])
    end)

    it("has no room before nsqd has answered IDENTIFY, and tells when it has", function()
      local go, told
      open({ tcp(peer(function(c)
        c:command()
        go = c
        c:hang()
      end)) })
      output.on_room = function() told = true end
      loop.wait(function() return go end, "IDENTIFY")
      assert.is_false(output:room())
      send(1, batch_of("t", "early"))
      assert.equal("failed EAGAIN", answers[1])
      assert.is_nil(told)
      go:write(frame(0, "OK"))
      loop.wait(function() return told end, "on_room")
      assert.is_true(output:room())
    end)

    it("takes 32 batches at once, and more after the first answer", function()
      local pause, told
      open({ tcp(peer(function(c)
        c:greet()
        for _ = 1, 32 do c:command() end
        pause = c
        c:hang()
      end)) })
      connected()
      local n = 0
      while output:room() do
        n = n + 1
        send(n, batch_of("t", "x"))
      end
      assert.equal(32, n)
      loop.wait(function() return pause end, "32 commands")
      output.on_room = function() told = true end
      pause:write(OK:rep(32))
      loop.wait(function() return told end, "on_room")
      answered(32)
    end)

    it("answers heartbeats between the answers to batches", function()
      local nops = 0
      open({ tcp(peer(function(c)
        c:greet()
        for _ = 1, 3 do c:command() end
        c:write(OK .. frame(0, "_heartbeat_") .. OK:sub(1, 7))
        if c:command() == "NOP" then nops = nops + 1 end
        c:write(OK:sub(8) .. frame(0, "_heartbeat_") .. OK)
        if c:command() == "NOP" then nops = nops + 1 end
        c:hang()
      end)) })
      connected()
      for i = 1, 3 do send(i, batch_of("t", "x")) end
      answered(3)
      loop.wait(function() return nops == 2 end, "two NOPs")
      assert.same({ "ok", "ok", "ok" }, answers)
    end)

    it("blames only the batch that was answered by an error, and reconnects", function()
      local p = peer(function(c)
        c:greet()
        if c.number > 1 then
          c:command()
          c:write(OK)
          return c:hang()
        end
        for _ = 1, 3 do c:command() end
        c:write(OK .. frame(1, "E_BAD_TOPIC MPUB topic name \"t\" is not valid"))
      end)
      open({ tcp(p) })
      connected()
      for i = 1, 3 do send(i, batch_of("t", "x", "y")) end
      answered(3)
      assert.same({ "ok", "refused E_BAD_TOPIC", "failed E_BAD_TOPIC" }, { unpack(answers, 1, 3) })
      assert.equal(2, #answers[-2].refused)
      connected()
      send(4, batch_of("t", "x"))
      answered(4)
      assert.equal("ok", answers[4])
      assert.equal(1, output:status().reconnects)
      assert.equal(2, output:status().dropped_messages)
    end)

    it("finds the one message that is refused, and publishes the others", function()
      local taken = {}
      open({ tcp(peer(function(c)
        c:greet()
        while true do
          local line, body = c:command()
          if body:find("poison", 1, true) then
            return c:write(frame(1, "E_BAD_MESSAGE " .. line))
          end
          for word in body:gmatch("m%d+") do taken[#taken + 1] = word end
          c:write(OK)
        end
      end)) })
      connected()
      local batch = batch_of("t", "m1", "m2", "m3", "m4", "poison", "m6", "m7")
      send(1, batch)
      answered(1)
      assert.equal("refused E_BAD_MESSAGE", answers[1])
      assert.equal(1, #answers[-1].refused)
      assert.equal(batch.messages[5], answers[-1].refused[1])
      table.sort(taken)
      assert.same({ "m1", "m2", "m3", "m4", "m6", "m7" }, taken)
      assert.equal(6, output:status().acknowledged_messages)
    end)

    it("gives a search up as transient when there is no server any more", function()
      local p
      p = peer(function(c)
        c:greet()
        c:command()
        p:refuse()
        c:write(frame(1, "E_BAD_BODY no"))
      end)
      open({ tcp(p) })
      connected()
      send(1, batch_of("t", "one", "two"))
      answered(1)
      assert.equal("failed ECONNREFUSED", answers[1])
      assert.equal(0, output:status().dropped_messages)
    end)

    for name, misbehave in pairs({
      ["answers E_MPUB_FAILED"] = { "E_MPUB_FAILED", function(c)
        c:command()
        c:write(frame(1, "E_MPUB_FAILED MPUB failed exiting"))
      end },
      ["closes in the middle of a frame"] = { "ECONNRESET", function(c)
        c:command()
        c:write(OK:sub(1, 6))
      end },
      ["sends a giant frame"] = { "EPROTO", function(c)
        c:command()
        c:write("\127\255\255\255\0\0\0\0" .. ("x"):rep(100000))
        c:hang()
      end },
      ["sends garbage"] = { "EPROTO", function(c)
        c:command()
        c:write("HTTP/1.1 400 Bad Request\r\n\r\n")
        c:hang()
      end },
      ["sends a message"] = { "EPROTO", function(c)
        c:command()
        c:write(frame(2, ("\0"):rep(26) .. "hello"))
        c:hang()
      end },
      ["answers something else"] = { "EPROTO", function(c)
        c:command()
        c:write(frame(0, "CLOSE_WAIT"))
        c:hang()
      end },
      ["answers what nobody asked"] = { "EPROTO", function(c)
        c:command()
        c:write(frame(0, "NO") .. OK:rep(5))
        c:hang()
      end },
      ["never answers"] = { "ETIMEDOUT", function(c) c:hang() end },
    }) do
      it("fails transiently and tries again when nsqd " .. name, function()
        local code, script = unpack(misbehave)
        open({ tcp(peer(function(c)
          c:greet()
          if c.number == 1 then return script(c) end
          c:command()
          c:write(OK)
          c:hang()
        end)) }, { ack_ms = 200 })
        connected()
        for i = 1, 3 do send(i, batch_of("t", "x", "y")) end
        answered(3)
        for i = 1, 3 do assert.equal("failed " .. code, answers[i]) end
        connected()
        send(4, batch_of("t", "x"))
        answered(4)
        assert.equal("ok", answers[4])
      end)
    end

    it("counts what was answered before nsqd fell silent", function()
      open({ tcp(peer(function(c)
        c:greet()
        for _ = 1, 5 do c:command() end
        c:write(OK:rep(2))
        c:hang()
      end)) }, { ack_ms = 200 })
      connected()
      for i = 1, 5 do send(i, batch_of("t", "x")) end
      answered(5)
      assert.same({ "ok", "ok", "failed ETIMEDOUT", "failed ETIMEDOUT", "failed ETIMEDOUT" },
        { unpack(answers, 1, 5) })
    end)

    for name, reply in pairs({ auth_required = "E_AUTH_FIRST", tls_v1 = "EPROTO", snappy = "EPROTO" }) do
      it("says so when nsqd insists on " .. name, function()
        open({ tcp(peer(function(c)
          c:greet(('{"%s":true}'):format(name))
          c:hang()
        end)) })
        loop.wait(function() return output:status().last_error end, "an error")
        assert.equal(reply, output:status().last_error.code)
        assert.is_false(output:room())
      end)
    end

    it("gives up on a server that never answers IDENTIFY", function()
      open({ tcp(peer(function(c) c:hang() end)) }, { ack_ms = 100 })
      loop.wait(function() return output:status().last_error end, "an error")
      assert.equal("ETIMEDOUT", output:status().last_error.code)
    end)

    it("goes on when the function that hears of a batch raises", function()
      open({ tcp(peer(function(c)
        c:greet()
        for _ = 1, 2 do
          c:command()
          c:write(OK)
        end
        c:hang()
      end)) })
      connected()
      local errors = require("host").errors()
      output:send(batch_of("t", "x"), function() error("raised on purpose, do not mind") end)
      send(2, batch_of("t", "x"))
      loop.wait(function() return answers[2] end, "the second answer")
      assert.equal("ok", answers[2])
      assert.equal(errors + 1, require("host").errors())
    end)

    it("closes with what is in flight failed", function()
      local closed
      open({ tcp(peer(function(c)
        c:greet()
        c:hang()
      end)) })
      connected()
      send(1, batch_of("t", "x"))
      output:close(function() closed = true end)
      assert.equal("failed ECANCELED", answers[1])
      loop.wait(function() return closed end, "close")
      assert.is_false(output:room())
      assert.equal("closed", output:status().state)
    end)

    it("takes up to 4 MiB in flight, however few batches that are", function()
      open({ tcp(peer(function(c)
        c:greet()
        c:hang()
      end)) })
      connected()
      local n = 0
      while output:room() and n < 20 do
        n = n + 1
        send(n, batch_of("t", ("x"):rep(1000000)))
      end
      assert.equal(5, n)
      assert.is_true(output:status().inflight_bytes <= 4 * 1024 * 1024)
    end)
  end)

  describe("over http", function()
    local function request(c)
      local head = c:read_until("\r\n\r\n")
      return head, c:read(tonumber(head:match("Content%-Length: (%d+)")))
    end

    local function response(status, body, fields)
      return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, #body, fields or "", body)
    end

    it("posts one message to /pub and several to /mpub, on one connection", function()
      local got = {}
      local p = peer(function(c)
        for i = 1, 2 do
          got[i] = { request(c) }
          c:write(response("200 OK", "OK"))
        end
        c:hang()
      end)
      open({ "127.0.0.1:" .. p.port })
      connected()
      send(1, batch_of("a.b", "alone"))
      answered(1)
      send(2, batch_of("a.b", "one", "three"))
      answered(2)
      assert.same({ "ok", "ok" }, answers)
      assert.matches("^POST /pub%?topic=a%.b HTTP/1%.1\r\n", got[1][1])
      assert.matches("\r\nAccept: application/vnd.nsq; version=1.0\r\n", got[1][1], 1, true)
      assert.matches("\r\nHost: 127.0.0.1:" .. p.port .. "\r\n", got[1][1], 1, true)
      assert.equal("alone", got[1][2])
      assert.matches("^POST /mpub%?topic=a%.b&binary=true HTTP/1%.1\r\n", got[2][1])
      assert.equal("\0\0\0\2\0\0\0\3one\0\0\0\5three", got[2][2])
      assert.equal(1, p.accepted)
    end)

    it("connects again when the server ends a connection in peace", function()
      local p = peer(function(c)
        request(c)
        c:write(response("200 OK", "OK", "Connection: close\r\n"))
      end)
      open({ http(p) })
      for i = 1, 3 do
        connected()
        send(i, batch_of("t", "x"))
        answered(i)
      end
      assert.same({ "ok", "ok", "ok" }, answers)
    end)

    it("drops what is answered by 413 or 400, on a connection that stays", function()
      local p = peer(function(c)
        for _, status in ipairs({ "413 MSG_TOO_BIG", "400 INVALID_TOPIC", "200 OK" }) do
          request(c)
          c:write(response(status, ('{"message":"%s"}'):format(status:sub(5))))
        end
        c:hang()
      end)
      open({ http(p) })
      connected()
      send(1, batch_of("t", "x"))
      answered(1)
      send(2, batch_of("t", "x", "y"))
      answered(2)
      send(3, batch_of("t", "x"))
      answered(3)
      assert.same({ "refused MSG_TOO_BIG", "refused INVALID_TOPIC", "ok" }, { unpack(answers, 1, 3) })
      assert.equal(1, p.accepted)
    end)

    for name, misbehave in pairs({
      ["answers 500"] = { "INTERNAL_ERROR", function(c)
        request(c)
        c:write(response("500 Internal Server Error", '{"message":"INTERNAL_ERROR"}'))
        c:hang()
      end },
      ["answers 404"] = { "NOT_FOUND", function(c)
        request(c)
        c:write(response("404 Not Found", '{"message":"NOT_FOUND"}'))
        c:hang()
      end },
      ["answers 302"] = { "HTTP_302", function(c)
        request(c)
        c:write(response("302 Found", "elsewhere"))
        c:hang()
      end },
      ["cuts the body"] = { "ECONNRESET", function(c)
        request(c)
        c:write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nOK")
      end },
      ["closes without an answer"] = { "ECONNRESET", function(c) request(c) end },
      ["sends garbage"] = { "EPROTO", function(c)
        request(c)
        c:write("  V2\0\0\0\6")
        c:hang()
      end },
      ["floods"] = { "EPROTO", function(c)
        request(c)
        c:write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" .. ("x"):rep(1000000))
        c:hang()
      end },
      ["never answers"] = { "ETIMEDOUT", function(c) c:hang() end },
    }) do
      it("fails transiently and tries again when the server " .. name, function()
        local code, script = unpack(misbehave)
        open({ http(peer(function(c)
          if c.number == 1 then return script(c) end
          request(c)
          c:write(response("200 OK", "OK"))
          c:hang()
        end)) }, { ack_ms = 200 })
        connected()
        send(1, batch_of("t", "x", "y"))
        assert.is_false(output:room())
        answered(1)
        assert.equal("failed " .. code, answers[1])
        connected()
        send(2, batch_of("t", "x"))
        answered(2)
        assert.equal("ok", answers[2])
      end)
    end
  end)

  describe("between servers", function()
    it("waits longer after each failure, up to 3 s, and starts anew after an acknowledgement", function()
      local delays, next_try = {}, nil
      local dead = loop.free_port()
      local p
      open({ "tcp://127.0.0.1:" .. dead }, {
        random = function() return 0.999 end,
        after = function(ms, fn)
          delays[#delays + 1], next_try = ms, fn
          return function() end
        end,
      })
      local function try(n)
        loop.wait(function() return #delays == n end, "delay " .. n)
        next_try()
      end
      for n = 1, 11 do try(n) end
      p = peers.start(function(c)
        c:greet()
        c:command()
        c:write(OK)
      end, dead)
      open_peers[1] = p
      try(12)
      connected()
      send(1, batch_of("t", "x"))
      answered(1)
      loop.wait(function() return #delays == 13 end, "the loss")
      local wanted = { 99, 199, 399, 799, 1598, 2997, 2997, 2997, 2997, 2997, 2997, 2997, 99 }
      assert.same(wanted, delays)
    end)

    it("visits every server before one twice", function()
      local list = {}
      for i = 1, 5 do list[i] = { name = i } end
      local next_server = servers.rotation(list, math.random)
      local last
      for _ = 1, 20 do
        local seen = {}
        for _ = 1, 5 do
          local server = next_server()
          assert.is_not.equal(last, server)
          assert.is_nil(seen[server])
          seen[server], last = true, server
        end
      end
    end)

    it("resolves a name at each connect and tries every address", function()
      local asked = 0
      local p = peer(function(c)
        c:greet()
        c:command()
        c:write(OK)
      end)
      open({ "tcp://nsqd.example.org:4150" }, { resolve = function(server, callback)
        assert.equal("nsqd.example.org", server.host)
        asked = asked + 1
        callback(nil, { { ip = "127.0.0.1", port = loop.free_port() }, { ip = "::1", port = p.port },
          { ip = "127.0.0.1", port = p.port } })
      end })
      for i = 1, 2 do
        connected()
        send(i, batch_of("t", "x"))
        answered(i)
      end
      assert.same({ "ok", "ok" }, answers)
      loop.wait(function() return asked >= 2 end, "another resolution")
    end)

    it("goes on when a name can't be resolved", function()
      local p = peer(function(c)
        c:greet()
        c:hang()
      end)
      local names = {}
      open({ "tcp://nowhere:4150", "tcp://there:" .. p.port }, { resolve = function(server, callback)
        names[#names + 1] = server.host
        if server.host == "nowhere" then return callback({ code = "ENOENT", message = "no such host" }) end
        callback(nil, { { ip = "127.0.0.1", port = server.port } })
      end })
      connected()
      assert.equal("tcp://there:" .. p.port, output:status().server)
    end)

    it("resolves real names in a worker", function()
      local p = peer(function(c)
        c:greet()
        c:hang()
      end)
      local seen
      servers.resolve({ host = "LocalHost", port = p.port }, function(err, list) seen = err or list end)
      loop.wait(function() return seen end, "the worker")
      assert.is_table(seen[1], seen.message)
      assert.is_truthy(seen[1].ip)
    end)

    it("closes while it waits, resolves or connects", function()
      for _, resolve in ipairs({ function() end, function(_, callback) callback({ code = "X", message = "x" }) end,
        function(_, callback) callback(nil, { { ip = "127.0.0.1", port = loop.free_port() } }) end }) do
        local closed
        open({ "tcp://somewhere" }, { resolve = resolve, random = function() return 0.999 end })
        output:close(function() closed = true end)
        loop.wait(function() return closed end, "close")
      end
      loop.drain()
    end)
  end)

  it("refuses topics and messages that nsqd never takes, and publishes the others", function()
    open({ tcp(peer(function(c)
      c:greet()
      c:command()
      c:write(OK)
      c:hang()
    end)) })
    connected()
    send(1, batch_of("not a topic", "x"))
    assert.equal("refused E_BAD_TOPIC", answers[1])
    local batch = batch_of("t", "x", "", ("y"):rep(1024 * 1024 + 1), "z")
    send(2, batch)
    answered(2)
    assert.equal("refused E_BAD_MESSAGE", answers[2])
    assert.same({ batch.messages[2], batch.messages[3] }, answers[-2].refused)
    assert.equal(2, output:status().acknowledged_messages)
    send(3, batch_of("t", ""))
    assert.equal("refused E_BAD_MESSAGE", answers[3])
    assert.equal(4, output:status().dropped_messages)
  end)
end)

describe("the servers of the output", function()
  it("are understood with scheme, port and IPv6 address, or without", function()
    local function name(text) return (assert(servers.parse(text))).name end
    assert.equal("tcp://10.0.0.1:4150", name("tcp://10.0.0.1"))
    assert.equal("tcp://nsqd-1.example.org:5150", name("tcp://nsqd-1.example.org:5150"))
    assert.equal("http://nsqd:4151", name("nsqd"))
    assert.equal("http://10.0.0.5:7777", name("10.0.0.5:7777"))
    assert.equal("http://nsqd:4151", name("http://nsqd/"))
    assert.equal("tcp://[::1]:4150", name("tcp://[::1]"))
    assert.equal("http://[2001:db8::7]:80", name("[2001:db8::7]:80"))
  end)

  it("are refused with a reason when they are none", function()
    for _, text in ipairs({ "", "ftp://a:1", "tcp://", "tcp://a:0", "tcp://a:65536", "tcp://a:b", "a b", "u:p@h:1",
      "http://a/path", "tcp://a:1:2", "a\n:1" }) do
      local server, message, code = servers.parse(text)
      assert.is_nil(server, text)
      assert.is_string(message)
      assert.equal("EINVAL", code)
    end
    assert.is_nil((nsq.new({ servers = {} }, {})))
    assert.is_nil((nsq.new({ servers = { "ftp://x" } }, {})))
  end)
end)

describe("the parts of a batch", function()
  it("are within the bound of a body and in order", function()
    local batch = batch_of("t", ("a"):rep(40), ("b"):rep(40), ("c"):rep(40), "d")
    local list = parts.split(batch, 50, 100)
    assert.equal(2, #list)
    assert.same({ batch.messages[1], batch.messages[2] }, list[1].messages)
    assert.same({ batch.messages[3], batch.messages[4] }, list[2].messages)
    assert.equal(80, list[1].bytes)
  end)

  it("are one when all of it fits, to the byte", function()
    local batch = batch_of("t", ("a"):rep(40), ("b"):rep(40))
    local list, left_out = parts.split(batch, 40, 92)
    assert.same({ { topic = "t", messages = batch.messages, bytes = 80 } }, list)
    assert.same({}, left_out)
    assert.equal(2, #parts.split(batch, 40, 91))
    list, left_out = parts.split(batch, 39, 92)
    assert.same({}, list)
    assert.same(batch.messages, left_out)
  end)

  it("answer as one: a transient failure wins, refusals are put together", function()
    local answer
    local function run(errs)
      local list = {}
      for i = 1, #errs do list[i] = {} end
      parts.gather(list, {}, function(err) answer = err or "ok" end)
      for i, err in ipairs(errs) do list[i].done(err or nil) end
      return answer
    end
    assert.equal("ok", run({ false }))
    assert.equal("X", run({ { code = "X" } }).code)
    assert.equal("ok", run({ false, false }))
    assert.equal("X", run({ { code = "P", permanent = true, refused = { 1 } }, { code = "X" } }).code)
    assert.same({ 2, 3, 1 }, run({ { code = "P", permanent = true, refused = { 1 } }, false,
      { code = "P", permanent = true, refused = { 2, 3 } } }).refused)
  end)
end)
