-- The output influxdb with its real worker, against a scripted server: what InfluxDB 2.x answers (contracts.md §7.3),
-- and what a broken one does.
local influxdb = require("agent.publish.influxdb")
local loop = require("loop")
local peers = require("peer")
local program = require("program")
local uv = require("luv")

local peer, output, answers

local function message(...)
  local points = {}
  for i, name in ipairs({ ... }) do
    points[i] = ('{"measurement":"%s","timestamp":1714557600,"tags":{"host":"web07"},"fields":{"value":1}}')
      :format(name)
  end
  return { '{"database":"collect.a","points":', ("[%s]}"):format(table.concat(points, ",")) }
end

local function line(name) return name .. ",host=web07 value=1 1714557600\n" end

-- The next request of a connection: its first line, head and body.
local function request(c)
  local head = c:read_until("\r\n\r\n")
  return head:match("^[^\r]*"), head, c:read(tonumber(head:match("Content%-Length: (%d+)")))
end

local function answer(c, status, body, fields)
  c:write(("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s"):format(status, fields or "", #(body or ""), body or ""))
end

local function start(serve, more, ack_ms)
  peer = peers.start(serve)
  local conf = { url = "http://127.0.0.1:" .. peer.port, org = "my org", bucket = "", user = "", auth = "basic",
    password = "", token = "", batchsize = 2 ^ 20, tlsca = "", tlscert = "", tlskey = "" }
  for key, value in pairs(more or {}) do conf[key] = value end
  output = influxdb.new(conf, { clock = require("host.clock"), ack_ms = ack_ms or 5000 })
  answers = {}
end

local function send(number, ...)
  loop.wait(function() return output:room() end, "room", 20000)
  output:send({ topic = "collect.a", messages = { message(...) }, bytes = 100 }, function(err)
    answers[number] = err or "stored"
  end)
end

local function answered(number)
  loop.wait(function() return answers[number] end, "an answer", 20000)
  return answers[number]
end

describe("output influxdb", function()
  after_each(function()
    if output then
      local closed = false
      output:close(function() closed = true end)
      loop.wait(function() return closed end, "the output to close", 15000)
    end
    if peer then peer:stop() end
    output, peer = nil, nil
    loop.drain()
  end)

  it("writes over one connection, with a token that may be renewed", function()
    local folder = program.folder()
    program.write(folder .. "/token", "first\n")
    local seen = {}
    start(function(c)
      while true do
        local first, head, body = request(c)
        seen[#seen + 1] = { first, head:match("Authorization: ([^\r]*)"), body }
        answer(c, "204 No Content")
      end
    end, { token = folder .. "/token" })
    send(1, "x", "y")
    assert.equal("stored", answered(1))
    program.write(folder .. "/token", "second\n")
    send(2, "z")
    assert.equal("stored", answered(2))
    program.remove(folder)
    local target = "POST /api/v2/write?org=my%20org&bucket=collect.a&precision=s HTTP/1.1"
    assert.same({ target, "Token first", line("x") .. line("y") }, seen[1])
    assert.same({ target, "Token second", line("z") }, seen[2])
    assert.equal(1, peer.accepted)
  end)

  it("keeps everything that 401, 403, 404, 429, 500 and 503 answer, and stores it when they are over", function()
    local wrong = { "401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Too Many Requests", "500 Error",
      "503 Unavailable", "301 Moved" }
    local n = 0
    start(function(c)
      while true do
        request(c)
        n = n + 1
        answer(c, wrong[n] or "204 No Content", wrong[n] and '{"code":"x","message":"told so"}', "Retry-After: 0\r\n")
      end
    end)
    for i, status in ipairs(wrong) do
      send(i, "x")
      local err = answered(i)
      assert.is_false(err.permanent)
      assert.equal("HTTP_" .. status:match("^%d+"), err.code)
      assert.matches("told so", err.message)
      assert.same({}, output:status().dropped_points)
    end
    send(8, "x")
    assert.equal("stored", answered(8))
  end)

  it("does not come back before Retry-After", function()
    local times = {}
    start(function(c)
      while true do
        request(c)
        times[#times + 1] = uv.hrtime()
        if #times == 1 then answer(c, "429 Slow", "", "Retry-After: 2\r\n") else answer(c, "204 No Content") end
      end
    end)
    send(1, "x")
    assert.equal("HTTP_429", answered(1).code)
    send(2, "x")
    assert.equal("stored", answered(2))
    assert.is_true(times[2] - times[1] >= 1.9e9)
  end)

  it("counts what a 422 left out, and finds what makes a 400", function()
    local bodies = {}
    start(function(c)
      request(c)
      answer(c, "422 Unprocessable", '{"code":"unprocessable entity","message":"failure writing points to database: '
        .. 'partial write: field type conflict: input field \\"value\\" dropped=1"}')
      while true do
        local _, _, body = request(c)
        bodies[#bodies + 1] = body
        local bad = body:find("bad", 1, true)
        answer(c, bad and "400 Bad Request" or "204 No Content", bad and '{"code":"invalid","message":"no"}')
      end
    end)
    send(1, "x", "y")
    assert.equal("stored", answered(1))
    assert.same({ type_conflict = 1 }, output:status().dropped_points)
    send(2, "a", "bad", "b", "c")
    assert.equal("stored", answered(2))
    assert.same({ type_conflict = 1, refused = 1 }, output:status().dropped_points)
    assert.equal(4, output:status().written_points)
    local stored = table.concat(bodies, "")
    for _, name in ipairs({ "a", "b", "c" }) do assert.is_truthy(stored:find(line(name), 1, true)) end
  end)

  it("tries again when a server is silent, cuts the answer or isn't there", function()
    local n = 0
    start(function(c)
      n = n + 1
      request(c)
      if n == 1 then c:hang() end
      if n == 2 then
        c:write("HTTP/1.1 204 No")
        return c:close()
      end
      answer(c, "204 No Content")
      c:hang()
    end, nil, 1000)
    send(1, "x")
    assert.equal("timeout", answered(1).code)
    send(2, "x")
    assert.is_false(answered(2).permanent)
    send(3, "x")
    assert.equal("stored", answered(3))
    local port = peer.port
    peer:stop()
    send(4, "x")
    assert.is_false(answered(4).permanent)
    peer = peers.start(function(c)
      request(c)
      answer(c, "204 No Content")
      c:hang()
    end, port)
    send(5, "x")
    assert.equal("stored", answered(5))
  end)

  it("starts another worker when one is killed, and what it had in hand fails with a reason", function()
    local n = 0
    start(function(c)
      request(c)
      n = n + 1
      if n == 1 then c:hang() end
      answer(c, "204 No Content")
      c:hang()
    end)
    send(1, "x")
    loop.wait(function() return n == 1 end, "the request")
    local pid = output:status().worker
    uv.kill(pid, "sigkill")
    assert.equal("crashed", answered(1).code)
    assert.matches("worker influxdb: killed by signal 9", answers[1].message)
    send(2, "x")
    assert.equal("stored", answered(2))
    assert.are_not.equal(pid, output:status().worker)
  end)

  it("kills a worker that is stuck", function()
    start(function(c)
      request(c)
      answer(c, "204 No Content")
      c:hang()
    end, nil, 500)
    send(1, "x")
    answered(1)
    uv.kill(output:status().worker, "sigstop")
    send(2, "x")
    assert.equal("crashed", answered(2).code)
    send(3, "x")
    assert.equal("stored", answered(3))
  end)
end)
