-- What ctx can do, by functions in files, run in the real worker against real sockets, programs and files.

local builtin = require("builtin")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

describe("a builtin function", function()
  local folder, server

  before_each(function() folder = builtin.folder() end)

  after_each(function()
    if server then server.close() end
    server = nil
    uv.run("nowait")
    program.remove(folder)
  end)

  local function run(body, options) return builtin.run(folder, body, options) end

  local function good(body, options)
    local outcome = run(body, options)
    assert(outcome.status == 0, outcome.reason)
    return function(name) return builtin.value(outcome, name) end
  end

  it("reads lines, bytes and the rest of a connection", function()
    server = builtin.answering(function(request)
      if request:find("\n") then return "first\r\nsecond\n12345the rest" end
    end)
    local value = good([[
      local c = assert(ctx.tcp("127.0.0.1", params.port))
      assert(c:send("hello\n"))
      return { a = c:line(), b = c:line(), c = c:read(5), d = c:all(), e = select(3, c:read(1)) }
    ]], { params = { port = server.port } })
    assert.same({ "first", "second", "12345", "the rest", "closed" },
      { value("a"), value("b"), value("c"), value("d"), value("e") })
  end)

  it("waits for a peer that says nothing no longer than asked", function()
    server = builtin.answering(function() end)
    local value = good([[
      local c = assert(ctx.tcp("127.0.0.1", params.port, { timeout = 0.2 }))
      local began = ctx.mono()
      local line, why, code = c:line()
      return { nothing = line == nil, code = code, why = why, seconds = ctx.mono() - began }
    ]], { params = { port = server.port } })
    assert.equal("timeout", value("code"))
    assert.is_true(value("seconds") >= 0.19 and value("seconds") < 3)
    assert.match("nothing within 0.2 s", value("why"))
  end)

  it("is told that a port is closed", function()
    local value = good([[
      local c, why, code = ctx.tcp("127.0.0.1", params.port)
      return { c = c == nil, why = why, code = code }
    ]], { params = { port = loop.free_port() } })
    assert.match("ECONNREFUSED", value("why"))
    assert.equal("connect", value("code"))
  end)

  it("speaks to a unix socket", function()
    local pipe = uv.new_pipe(false)
    pipe:bind(folder .. "/s")
    uv.fs_chmod(folder .. "/s", 511)
    pipe:listen(1, function()
      local client = uv.new_pipe(false)
      pipe:accept(client)
      client:write("hello\n", function() client:close() end)
    end)
    local value = good('return { said = assert(ctx.tcp("unix:" .. params.path)):line() }',
      { params = { path = folder .. "/s" } })
    pipe:close()
    assert.equal("hello", value("said"))
  end)

  it("sends more than the peer's window and is read slowly", function()
    local got = 0
    server = builtin.server(function(client)
      client:read_start(function(_, chunk)
        if not chunk then return client:close() end
        got = got + #chunk
        if got == 4000000 then client:write("enough\n") end
      end)
    end)
    local value = good([[
      local c = assert(ctx.tcp("127.0.0.1", params.port))
      assert(c:send(("x"):rep(4000000)))
      return { said = c:line() }
    ]], { params = { port = server.port } })
    assert.equal("enough", value("said"))
  end)

  it("sends and receives datagrams, and hears that nobody listens", function()
    local udp = uv.new_udp()
    udp:bind("127.0.0.1", 0)
    udp:recv_start(function(_, text, from)
      if text then udp:send("got " .. text, from.ip, from.port, function() end) end
    end)
    local value = good([[
      local s = assert(ctx.udp("127.0.0.1", params.port))
      assert(s:send("one"))
      local deaf = assert(ctx.udp("127.0.0.1", params.closed, { timeout = 2 }))
      deaf:send("x")
      local text, why, code = deaf:receive()
      return { said = s:receive(), none = text == nil, code = code }
    ]], { params = { port = udp:getsockname().port, closed = loop.free_port() } })
    udp:close()
    assert.equal("got one", value("said"))
    assert.is_true(value("none"))
  end)

  it("finds the addresses of names", function()
    local value = good([[
      local list = assert(ctx.resolve("localhost"))
      local none, why, code = ctx.resolve("does-not-exist.invalid")
      return { first = list[1], none = none == nil, code = code, odd = select(3, ctx.resolve("a b")) }
    ]])
    assert.is_true(value("first") == "127.0.0.1" or value("first") == "::1")
    assert.equal("resolve", value("code"))
    assert.equal("resolve", value("odd"))
  end)

  it("pings, and is told why it can't", function()
    local outcome = run([[
      local list = {}
      for i = 1, 3 do list[i] = assert(ctx.ping("127.0.0.1")) end
      local none, why, code = ctx.ping("255.255.255.255")
      return { first = list[1], last = list[3], why = why, code = code }
    ]])
    if outcome.reason and outcome.reason:find("no right to send ICMP") then return pending(outcome.reason) end
    assert.equal(0, outcome.status, outcome.reason)
    assert.is_true(builtin.value(outcome, "first") > 0 and builtin.value(outcome, "last") < 1)
    assert.same({ "255.255.255.255: Permission denied", "EACCES" },
      { builtin.value(outcome, "why"), builtin.value(outcome, "code") })
  end)

  it("runs programs without a shell, with a deadline", function()
    local value = good([[
      local e = assert(ctx.exec{ "/bin/echo", "$HOME;", "x" })
      local cat = assert(ctx.exec{ "/bin/cat", stdin = "fed" })
      local slow = assert(ctx.exec{ "/bin/sleep", "20", timeout = 0.1 })
      local none, why = ctx.exec{ "/does/not/exist" }
      return { out = e.stdout, code = e.code, fed = cat.stdout, slow = slow.timed_out, none = none == nil, why = why }
    ]])
    assert.same({ "$HOME; x\n", 0, "fed", true, true },
      { value("out"), value("code"), value("fed"), value("slow"), value("none") })
    assert.match("^/does/not/exist: .*No such file", value("why"))
  end)

  it("reads files, of /proc too, up to a size and from an offset", function()
    program.write(folder .. "/f", "0123456789")
    local value = good([[
      return {
        all = ctx.read_file(params.f), some = ctx.read_file(params.f, 3), from = ctx.read_file(params.f, 3, 5),
        proc = ctx.read_file("/proc/self/stat"), none = select(3, ctx.read_file("/does/not/exist")),
        size = ctx.stat(params.f).size, names = table.concat(ctx.list(params.d), " "),
        dir = select(2, ctx.read_file(params.d)),
      }
    ]], { params = { f = folder .. "/f", d = folder } })
    assert.same({ "0123456789", "012", "567", "ENOENT", 10, "builtin f" },
      { value("all"), value("some"), value("from"), value("none"), value("size"), value("names") })
    assert.match("^%d+ ", value("proc"))
    assert.match("not a file", value("dir"))
  end)

  it("does not wait for who never writes into a fifo", function()
    os.execute("mkfifo " .. folder .. "/fifo")
    local value = good('return { why = select(2, ctx.read_file(params.f)) }', { params = { f = folder .. "/fifo" } })
    assert.match("a fifo, not a file", value("why"))
  end)

  it("keeps ctx.state between its runs, and has rates from the second on", function()
    local outcomes = run([[
      ctx.state.n = (ctx.state.n or 0) + 1
      return { n = ctx.state.n, rate = ctx.rate("c", ctx.state.n * 1000), back = ctx.rate("d", -ctx.state.n) }
    ]], { times = 3 })
    assert.equal(1, builtin.value(outcomes[1], "n"))
    assert.is_nil(builtin.value(outcomes[1], "rate"))
    assert.equal(3, builtin.value(outcomes[3], "n"))
    local rate = builtin.value(outcomes[3], "rate")
    assert.is_true(rate > 100 and rate < 1100, tostring(rate))
    assert.is_nil(builtin.value(outcomes[3], "back"))
  end)

  it("has what a failed run left in ctx.state as it was before", function()
    local outcomes = run([[
      ctx.state.n = (ctx.state.n or 0) + 1
      if ctx.state.n == 2 and not ctx.state.kept then error("no") end
      return { n = ctx.state.n }
    ]], { times = 3 })
    assert.same({ 0, 1, 1 }, { outcomes[1].status, outcomes[2].status, outcomes[3].status })
  end)

  it("is refused a state that is no plain data, or too large", function()
    assert.match("holds a function", run("ctx.state.f = function() end return {}").reason)
    assert.match("more than 65536 bytes", run('ctx.state.f = ("x"):rep(70000) return {}').reason)
    assert.match("too deep, or a cycle", run("ctx.state.f = ctx.state return {}").reason)
  end)

  it("logs, though not without end", function()
    local outcome = run('for i = 1, 1000 do ctx.log("warning", "line " .. i) end return {}')
    assert.equal(0, outcome.status)
    assert.truthy(builtin.logged("line 50"))
    assert.falsy(builtin.logged("line 51"))
    assert.equal("probe", builtin.logged("line 1").fields.builtin)
  end)

  it("sleeps, and sees how long it still has", function()
    local value = good([[
      local before, began = ctx.deadline(), ctx.mono()
      ctx.sleep(0.2)
      return { slept = ctx.mono() - began, left = before - ctx.deadline(), ns = ctx.ns, name = ctx.name }
    ]], { ns = "web.shop.loda" })
    assert.is_true(value("slept") >= 0.199 and value("left") >= 0.199)
    assert.same({ "web.shop.loda", "probe" }, { value("ns"), value("name") })
  end)

  it("ends at its deadline, wherever it waits", function()
    for _, body in ipairs({ "ctx.sleep(100)", "pcall(ctx.sleep, 100)",
      "while true do pcall(ctx.sleep, 0.01) end" }) do
      local outcome = run(body .. " return {}", { timeout = 1 })
      assert.equal(2, outcome.status, body)
      assert.match("no end after 1 s", outcome.reason)
    end
  end)

  it("has everything that it opened closed at its end", function()
    local ended = 0
    server = builtin.server(function(client)
      client:read_start(function(_, chunk)
        if not chunk then ended = ended + 1 end
      end)
    end)
    run('kept = assert(ctx.tcp("127.0.0.1", params.port)) return {}', { params = { port = server.port } })
    program.wait("the end of the connection", 10, function() return ended == 1 end)
  end)

  it("finds a connection of an earlier run closed", function()
    server = builtin.answering(function() end)
    local outcomes = run([[
      if not rawget(_G, "kept") then kept = assert(ctx.tcp("127.0.0.1", params.port)) return {} end
      return { kept:line() }
    ]], { params = { port = server.port }, times = 2 })
    assert.match("belongs to a run that is over", outcomes[2].reason)
  end)

  it("is given metrics in both forms, and loses only the wrong ones", function()
    local outcome = run([[
      return { a = 1, b = "text", { name = "c", value = true, tags = { k = 5 } }, ["no good"] = 1, d = 0/0, e = {} }
    ]])
    assert.equal(3, outcome.status)
    assert.match("3 metrics refused", outcome.reason)
    assert.equal(3, #outcome.metrics)
    assert.is_true(builtin.value(outcome, "c", { k = "5" }))
  end)

  it("fails with its message, or with where it raised", function()
    assert.equal("no luck", run('return nil, "no luck"').reason)
    assert.equal("probe.lua:2: at once", run('error("at once")').reason)
    assert.equal("returned nil", run("").reason)
    assert.match("not metrics", run("return 5").reason)
  end)

  it("says that parameters are wrong", function()
    program.write(folder .. "/builtin/typed.lua", [[
      return { params = { port = { type = "number", required = true }, on = { type = "boolean", default = true },
        names = { type = "list" } }, run = function(p)
        return { port = p.port, on = p.on, names = table.concat(p.names or {}, "+") } end } ]])
    local try = require("agent.builtin.try")
    local function typed(params)
      return try.run("typed", { directories = { folder .. "/builtin" }, params = params, log = builtin.log })[1]
    end
    local outcome = typed('{"port": "80", "on": "false", "names": "a, b"}')
    assert.same({ 80, false, "a+b" }, { try.value(outcome, "port"), try.value(outcome, "on"),
      try.value(outcome, "names") })
    assert.equal("params.port is missing", typed("{}").reason)
    assert.equal('params.port: "x" is not a number', typed({ port = "x" }).reason)
    assert.equal("params.prot: there is no such parameter", typed({ prot = 1, port = 1 }).reason)
    assert.match("no JSON", typed("{").reason)
  end)
end)
