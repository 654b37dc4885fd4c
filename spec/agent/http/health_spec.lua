local ask = require("http_fakes").ask
local new_router = require("agent.http.router").new

describe("/healthz", function()
  local now, items, namespaces, status, router

  before_each(function()
    now, namespaces = 1000, { "a.loda" }
    items = { CPU = { interval = 10, runs = 3, began = 995, running = false } }
    status = { outbox = { messages = 0, published = 5 }, output = { state = "connected", server = "tcp://q:4150" } }
    router = new_router()
    require("agent.http.health").register(router, {
      now = function() return now end, started = 900, namespaces = function() return namespaces end,
      status = function() return status end,
      schedules = function(visit) for id, item in pairs(items) do visit(id, item) end end,
    })
  end)

  local function health(accept)
    local reply = ask(router, "GET", "/healthz", { headers = { accept = accept } })
    return reply.status, reply.body
  end

  it("is 200 while the agent collects and delivers", function()
    assert.same({ 200, "ok\n" }, { health() })
    assert.same({ 200, '{"reasons":[],"status":"ok"}' }, { health("application/json") })
  end)

  it("is 503 with the reasons before anything has run, and without a namespace", function()
    items, namespaces = {}, {}
    assert.same({ 503, "collecting: nothing has run yet\n"
      .. "delivering: there are no namespaces, so nothing is published\n" }, { health() })
    local code, body = health("application/json")
    assert.equal(503, code)
    assert.matches('^{"reasons":%["collecting: nothing.*","delivering: .*"%],"status":"unready"}$', body)
  end)

  it("is 503 when a collector hangs", function()
    items.FS = { interval = 300, runs = 1, began = 500, running = true }
    assert.equal(200, (health()))
    items.FS.began = 399
    assert.same({ 503, "collecting: FS has been running for 601 s\n" }, { health() })
  end)

  it("is 503 when messages wait and the output is not there, or takes none", function()
    status.output.state = "waiting"
    assert.equal(200, (health())) -- nothing to deliver yet
    status.outbox.messages, status.output.last_error = 3, "connection refused"
    assert.same({ 503, "delivering: not connected to tcp://q:4150: connection refused\n" }, { health() })
    status.output.state = "connected"
    assert.equal(200, (health()))
    now = now + 61
    assert.same({ 503, "delivering: tcp://q:4150 has taken nothing for 61 s: connection refused\n" }, { health() })
    status.outbox.published = 6
    assert.equal(200, (health()))
  end)

  it("is 503 while messages are only on disk, or the disk fails", function()
    status.output.state = "waiting"
    status.spool = { files = 2, state = "ok" }
    assert.same({ 503, "delivering: not connected to tcp://q:4150\n" }, { health() })
    status.output.state = "connected"
    assert.equal(200, (health()))
    now = now + 61
    assert.same({ 503, "delivering: tcp://q:4150 has taken nothing for 61 s\n" }, { health() })
    status.spool = { files = 0, state = "failing", last_error = "no space left" }
    assert.same({ 503, "delivering: the spool is failing: no space left\n" }, { health() })
  end)

  it("asks every output that must have the points, and no other", function()
    status.outputs = {
      { outbox = { messages = 0, published = 1 }, output = {}, required = true },
      { outbox = { messages = 9, published = 1 }, output = { state = "waiting", server = "tsdb" }, required = false },
    }
    assert.equal(200, (health()))
    status.outputs[2].required = true
    assert.same({ 503, "delivering: not connected to tsdb\n" }, { health() })
  end)
end)
