-- The control API in a process of its own, asked by curl.
local loop = require("loop")
local program = require("program")
local raw = require("raw_client")
local uv = require("luv")

local OK = "send data to MQ success\n"

-- Runs curl; returns the body, the status and the head.
local function curl(arguments)
  local pipe = assert(io.popen("curl -s -m 20 -D - -w '\n%{http_code}' " .. arguments))
  local text = pipe:read("*a")
  pipe:close()
  local rest, status = text:match("^(.*)\n(%d+)$")
  local head, body = "", rest
  while body:find("^HTTP/") do -- an interim answer has a head, too
    local _, last = body:find("\r\n\r\n", 1, true)
    head, body = body:sub(1, last), body:sub(last + 1)
  end
  return body, tonumber(status), head
end

-- The same as { body, status }.
local function answer(arguments)
  local body, status = curl(arguments)
  return { body, status }
end

describe("the control API", function()
  local folder, child, tcp, unix, port

  setup(function()
    folder = program.folder()
    local stdin, out = uv.new_pipe(false), uv.new_pipe(false)
    child = { output = "", stdin = stdin }
    local process, why
    process, why = uv.spawn(assert(os.getenv("AGENT")), {
      args = { "lua", "tests/fixtures/http_server.lua", folder .. "/agent.sock" }, stdio = { stdin, out, 2 },
    }, function(code)
      child.code = code
      process:close()
    end)
    assert(process, why)
    out:read_start(function(_, chunk)
      if chunk then child.output = child.output .. chunk else out:close() end
    end)
    loop.wait(function() return child.code or child.output:find("listening .-\n") end, "the server")
    port = assert(tonumber(child.output:match(":(%d+)\n")), child.output)
    tcp = "'http://127.0.0.1:" .. port
    unix = "--unix-socket " .. folder .. "/agent.sock 'http://loda:1234"
  end)

  teardown(function()
    child.stdin:close()
    loop.wait(function() return child.code end, "the end of the server")
    assert.equal(0, child.code)
    assert.is_nil(uv.fs_stat(folder .. "/agent.sock"))
    program.remove(folder)
    loop.drain()
  end)

  -- A file in the test's folder to be posted.
  local function body_file(text)
    program.write(folder .. "/body", text)
    return "--data-binary @" .. folder .. "/body "
  end

  it("serves the same on TCP and on the unix socket", function()
    for _, base in ipairs({ tcp, unix }) do
      local body, status, head = curl(base .. "/me/ns'")
      assert.equal(200, status)
      assert.matches('^%["web.shop.loda"', body)
      assert.matches("Content%-Type: application/json; charset=utf%-8\r\n", head)
      body, status = curl(base .. "/me/status'")
      assert.equal(200, status)
      assert.matches('"version":"9.8.7"', body)
      assert.same({ "null", 200 }, answer(base .. "/me/traffic'"))
      body, status, head = curl(base .. "/nowhere'")
      assert.same({ "404 page not found\n", 404 }, { body, status })
      assert.matches("Content%-Type: text/plain; charset=utf%-8\r\n", head)
    end
  end)

  it("takes GET, POST and HEAD, and nothing else", function()
    assert.equal(200, select(2, curl("-d '' " .. tcp .. "/me/ns'")))
    local body, status, head = curl("-o /dev/null -I " .. tcp .. "/me/ns'")
    assert.same({ "", 200 }, { body, status })
    assert.matches("Content%-Length: %d%d+\r\n", head)
    body, status, head = curl("-X DELETE " .. tcp .. "/me/ns'")
    assert.same({ "method not allowed; use GET, HEAD, POST\n", 405 }, { body, status })
    assert.matches("Allow: GET, HEAD, POST\r\n", head)
  end)

  it("posts like the SDK: JSON over the unix socket, answered when it is safe", function()
    local body, status = curl("-H 'Content-Type: application/json' "
      .. body_file('[{"name":"orders.paid","timestamp":1714557600,"tags":{"shard":"3"},"value":42}]')
      .. unix .. "/post?ns=front.shop.loda'")
    assert.same({ OK, 200 }, { body, status })
    loop.wait(function() return child.output:find("publish front.shop.loda 1 RUN.orders.paid 42\n") end, "the metric")
  end)

  it("updates, and then lists what is new", function()
    assert.same({ "collect items updated\n", 200 }, answer(tcp .. "/update'"))
    assert.equal('["web.shop.loda","db.shop.loda"]', (curl(tcp .. "/me/ns'")))
    assert.same({ "invalid ns\n", 500 }, answer(body_file('[{"name":"a","value":1}]') .. tcp .. "/post'"))
  end)

  it("refuses what can't be published, with the contract's texts", function()
    local full = body_file('[{"name":"a","value":1}]')
    assert.same({ "queue is full, discard message", 503 }, answer(full .. tcp .. "/post?ns=full.loda'"))
    for body, wanted in pairs({
      ['[{"name":"a b","value":1}]'] = { "invalid metric name, just allow 0-9 a-z A-Z - _ .", 400 },
      ["[null]"] = { "failed to decode json:entry 0: not an object\n", 500 },
      ["{}"] = { "failed to decode json:not an array of metrics\n", 500 },
      ["[]"] = { OK, 200 },
      ["null"] = { OK, 200 },
    }) do
      local text, status = curl(body_file(body) .. tcp .. "/post?ns=a.loda'")
      assert.same(wanted, { text, status }, body)
    end
    local json, status = curl("-H 'Accept: application/json' " .. tcp .. "/post?ns=a%20b'")
    assert.same({ '{"msg":"invalid ns"}', 400 }, { json, status }) -- the right status, where the text has another
  end)

  it("takes 2 MiB in chunks or whole without stalling the loop for 20 ms", function()
    local entry = '{"name":"orders.paid","timestamp":1714557600,"tags":{"shard":"3"},"value":42}'
    local count = math.floor((2 * 1024 * 1024 - 2) / (#entry + 1))
    local body = body_file("[" .. (entry .. ","):rep(count - 1) .. entry .. "]")
    local shortest = math.huge -- of three: other programs of a busy machine stall us, too
    for _, kind in ipairs({ "", "-H 'Transfer-Encoding: chunked' ", "" }) do
      curl(tcp .. "/me/status'")
      assert.same({ OK, 200 }, answer(kind .. body .. unix .. "/post?ns=big.loda'"))
      local stall = tonumber(curl(tcp .. "/me/status'"):match('"stall_ms":([%d.]+)'))
      shortest = math.min(shortest, stall)
    end
    loop.wait(function() return child.output:find("publish big.loda " .. count) end, "the metrics")
    if not require("sanitizer").present() then
      assert.is_true(shortest < 20, "stalled for " .. shortest .. " ms")
    end
    assert.equal(413, select(2, curl(body_file(("x"):rep(9e6)) .. tcp .. "/post?ns=big.loda'")))
  end)

  it("serves requests on one connection in order", function()
    local body = curl(tcp .. "/me/traffic' " .. tcp .. "/nowhere' " .. tcp .. "/me/traffic'")
    assert.matches("^null.*404 page not found.*null$", body)
    local client = raw.connect({ port = port })
    local ask = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client:send(ask:format("/nowhere") .. ask:format("/me/traffic") .. ask:format("/%") .. ask:format("/me/ns"))
    client:until_closed()
    assert.same({ 404, 200, 400 }, client:statuses())
  end)

  it("goes on beside many connections that never finish their request", function()
    local slow = {}
    for i = 1, 300 do
      slow[i] = raw.connect({ port = port })
      slow[i]:send("GET /me/ns HTTP/1.1\r\nHost: ")
    end
    assert.equal(200, select(2, curl(tcp .. "/me/ns'")))
    assert.equal(200, select(2, curl(unix .. "/me/ns'")))
    for _, client in ipairs(slow) do client:close() end
  end)
end)
