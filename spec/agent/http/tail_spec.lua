local encode = require("agent.publish.points").encode
local fakes = require("http_fakes")
local feed = require("agent.http.feed")
local new_router = require("agent.http.router").new

describe("/tail", function()
  local hub, router

  before_each(function()
    hub = feed.new({ now = os.time, later = function(fn) fn() end })
    router = new_router()
    require("agent.http.tail").register(router, { feed = hub })
  end)

  local function tail(query, accept)
    return fakes.ask(router, "GET", "/tail", { query = query, headers = { accept = accept } })
  end

  local function publish(namespaces, ...)
    local metrics = {}
    for i, name in ipairs({ ... }) do metrics[i] = { name = name, value = i } end
    hub:offer(namespaces, encode(metrics, "here", 1714557600))
  end

  local function point(ns, name, value)
    return ('{"ns":["%s"],"measurement":"%s","timestamp":1714557600,"tags":{"host":"here"},"fields":{"value":%d}}')
      :format(ns, name, value)
  end

  it("is a line a point, as it is published", function()
    local reply = tail({})
    assert.same({ 200, "application/x-ndjson; charset=utf-8" }, { reply.status, reply.headers["Content-Type"] })
    publish({ "a.loda" }, "cpu.idle", "mem.free")
    assert.equal(point("a.loda", "cpu.idle", 1) .. "\n" .. point("a.loda", "mem.free", 2) .. "\n", reply.body)
    publish({ "a.loda", "b.loda" }, "x")
    assert.matches('{"ns":%["a.loda","b.loda"%],"measurement":"x"', reply.body)
  end)

  it("is a stream of events where those are accepted", function()
    local reply = tail({}, "text/event-stream")
    assert.equal("text/event-stream; charset=utf-8", reply.headers["Content-Type"])
    publish({ "a.loda" }, "x")
    assert.equal("data: " .. point("a.loda", "x", 1) .. "\n\n", reply.body)
  end)

  it("shows the namespace and the names that are asked for", function()
    local reply = tail({ ns = "b.loda" })
    publish({ "a.loda", "c.loda" }, "x")
    assert.equal("", reply.body)
    publish({ "a.loda", "b.loda" }, "x")
    assert.equal(point("b.loda", "x", 1) .. "\n", reply.body)
    for pattern, wanted in pairs({ ["cpu.idle"] = "cpu.idle", ["cpu.*"] = "cpu.idle cpu.idle.core",
      ["*.core"] = "cpu.idle.core", ["*"] = "cpu.idle cpu.idle.core mem", ["c*i*core"] = "cpu.idle.core",
      ["**mem**"] = "mem", ["cpu.idle*cpu.idle"] = "",
      ["m*m"] = "mem", ["mem*m"] = "", ["%a+"] = "", [""] = "cpu.idle cpu.idle.core mem" }) do
      local one, names = tail({ name = pattern }), {}
      publish({ "a.loda" }, "cpu.idle", "cpu.idle.core", "mem")
      for name in one.body:gmatch('"measurement":"(.-)"') do names[#names + 1] = name end
      assert.equal(wanted, table.concat(names, " "), pattern)
      one:leave()
    end
  end)

  it("is for a bounded number of clients, and forgets those who go", function()
    local replies = {}
    for i = 1, 16 do replies[i] = tail({}) end
    assert.equal(503, tail({}).status)
    replies[3]:leave()
    assert.equal(200, tail({}).status)
    publish({ "a.loda" }, "x")
    assert.equal("", replies[3].body)
    for i, reply in ipairs(replies) do
      if i ~= 3 then reply:leave() end
    end
    local count = 0
    for _ in pairs(hub.tails) do count = count + 1 end
    assert.equal(1, count)
  end)
end)
