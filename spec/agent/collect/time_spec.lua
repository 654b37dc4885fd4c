local clock = require("host.clock")
local collect = require("collect_env")
local ntp = require("ntp_server")
local time = require("agent.collect.time")
local uv = require("luv")

describe("group TIME", function()
  local env, servers

  before_each(function()
    servers = {}
    env = collect.new({ ntptimeout = 0.1 })
    env.spacing = 0
    env.clock = { wall = clock.wall, mono = clock.mono }
  end)

  after_each(function()
    for _, server in ipairs(servers) do server.close() end
  end)

  local function serve(script)
    local server = ntp.start(script)
    servers[#servers + 1] = server
    env.conf.ntpservers = env.conf.ntpservers or {}
    table.insert(env.conf.ntpservers, server.address)
    return server
  end

  -- A server that is `offset` seconds ahead; fields as of ntp.reply.
  local function clock_server(offset, fields)
    return serve(function(_, request, send) send(ntp.reply(request, clock.wall() + offset, fields)) end)
  end

  local function offset_of(collector)
    local metrics, err = collect.run(collector)
    assert.is_nil(err)
    assert.is_true(#metrics <= 1)
    if not metrics[1] then return nil end
    assert.equal("time.offset", metrics[1].name)
    assert.is_nil(metrics[1].tags)
    return metrics[1].value
  end

  it("has no metric without servers, and says so once", function()
    local collector = time.new(env)
    assert.is_nil(offset_of(collector))
    assert.is_nil(offset_of(collector))
    assert.equal(1, #env.log.lines)
    assert.equal("info", env.log.lines[1].level)
  end)

  it("measures the offset in seconds, positive when the server is ahead", function()
    clock_server(7.5)
    assert.near(7.5, offset_of(time.new(env)), 0.05)
  end)

  it("measures huge offsets", function()
    clock_server(-400000000)
    assert.near(-400000000, offset_of(time.new(env)), 0.05)
  end)

  it("asks four times with a new cookie each and takes the quickest answer", function()
    local server = serve(function(n, request, send)
      if n == 3 then return send(ntp.reply(request, clock.wall() + 5)) end
      local timer = uv.new_timer()
      timer:start(40, 0, function()
        timer:close()
        send(ntp.reply(request, clock.wall() + 9))
      end)
    end)
    assert.near(5, offset_of(time.new(env)), 0.02)
    assert.equal(4, server.asked)
    local cookies = {}
    for _, request in ipairs(server.requests) do
      assert.equal(48, #request)
      assert.equal(0x23, request:byte())
      assert.equal(("\0"):rep(39), request:sub(2, 40))
      assert.is_nil(cookies[request:sub(41)])
      cookies[request:sub(41)] = true
    end
  end)

  it("waits between its questions", function()
    local at = {}
    serve(function(n, request, send)
      at[n] = clock.mono()
      send(ntp.reply(request, clock.wall()))
    end)
    env.spacing = 0.05
    offset_of(time.new(env))
    assert.equal(4, #at)
    for i = 2, 4 do assert.is_true(at[i] - at[i - 1] >= 0.049) end
  end)

  it("takes the median of several servers, without those that fail", function()
    clock_server(1)
    clock_server(1000)
    clock_server(3)
    clock_server(5, { stratum = 16 })
    assert.near(3, offset_of(time.new(env)), 0.05)
  end)

  for name, fields in pairs({
    ["another origin"] = { origin = "12345678" },
    ["stratum 0"] = { stratum = 0, reference = "INIT" },
    ["stratum 16"] = { stratum = 16 },
    ["leap 3"] = { leap = 3 },
    ["mode 3"] = { mode = 3 },
    ["version 7"] = { version = 7 },
    ["a root too far away"] = { root_delay = 40 },
    ["no transmit time"] = { transmit = -2208988800 },
  }) do
    it("takes no answer with " .. name, function()
      clock_server(5, fields)
      assert.is_nil(offset_of(time.new(env)))
    end)
  end

  it("takes no short packet", function()
    serve(function(_, request, send)
      send("")
      send(ntp.reply(request, clock.wall() + 5):sub(1, 47))
    end)
    assert.is_nil(offset_of(time.new(env)))
  end)

  it("takes the true answer after a forged one", function()
    serve(function(_, request, send)
      send(ntp.reply(request, clock.wall() + 99, { origin = "forged!!" }))
      send(ntp.reply(request, clock.wall() + 2))
    end)
    assert.near(2, offset_of(time.new(env)), 0.05)
  end)

  it("takes no answer from another port", function()
    local other = uv.new_udp()
    other:bind("127.0.0.1", 0)
    serve(function(_, request, _, from)
      other:try_send(ntp.reply(request, clock.wall() + 5), from.ip, from.port)
    end)
    assert.is_nil(offset_of(time.new(env)))
    other:close()
  end)

  it("gives up on silence after two questions, and warns once", function()
    local server = serve(function() end)
    local collector = time.new(env)
    assert.is_nil(offset_of(collector))
    assert.equal(2, server.asked)
    assert.is_nil(offset_of(collector))
    assert.equal(1, #env.log.lines)
  end)

  it("says when a server answers again", function()
    local silent = true
    serve(function(_, request, send)
      if not silent then send(ntp.reply(request, clock.wall())) end
    end)
    local collector = time.new(env)
    offset_of(collector)
    silent = false
    assert.near(0, offset_of(collector), 0.05)
    assert.equal("info", env.log.lines[2].level)
  end)

  it("survives a closed port", function()
    local server = serve(function() end)
    server.close()
    assert.is_nil(offset_of(time.new(env)))
  end)

  for kiss, pause in pairs({ RATE = 600, DENY = 86400, RSTR = 86400 }) do
    it("leaves a server in peace after its kiss of death " .. kiss, function()
      local server = clock_server(0, { stratum = 0, leap = 3, reference = kiss })
      local shift = 0
      env.clock.mono = function() return clock.mono() + shift end
      local collector = time.new(env)
      assert.is_nil(offset_of(collector))
      assert.is_nil(offset_of(collector))
      assert.equal(1, server.asked)
      shift = pause - 10
      offset_of(collector)
      assert.equal(1, server.asked)
      shift = pause + 10
      offset_of(collector)
      assert.equal(2, server.asked)
    end)
  end

  it("has names resolved by the worker, and keeps them", function()
    local server = clock_server(2)
    local asked = {}
    env.conf.ntpservers = { "ntp.example.org:" .. server.port }
    env.worker = { run = function(name, request, _, callback)
      asked[#asked + 1] = { name, request.host, request.port }
      callback(nil, { { ip = "127.0.0.1", family = "inet", port = server.port } })
    end }
    local collector = time.new(env)
    assert.near(2, offset_of(collector), 0.05)
    assert.near(2, offset_of(collector), 0.05)
    assert.same({ { "resolve", "ntp.example.org", server.port } }, asked)
  end)

  it("goes on when a name cannot be resolved", function()
    clock_server(2)
    table.insert(env.conf.ntpservers, "nowhere.example.org")
    env.worker = { run = function(_, _, _, callback)
      callback({ code = "failed", message = "no such host" })
    end }
    assert.near(2, offset_of(time.new(env)), 0.05)
  end)

  it("ends what is under way when it is closed", function()
    serve(function() end)
    env.conf.ntptimeout = 30
    local collector, done = time.new(env), false
    collector.run(function() done = true end)
    collector.close()
    assert.is_true(done)
  end)

  it("reads addresses with and without port", function()
    for text, expected in pairs({
      ["pool.ntp.org"] = { "pool.ntp.org", 123 }, ["10.0.0.1:1123"] = { "10.0.0.1", 1123 },
      ["::1"] = { "::1", 123 }, ["[fe80::1]:99"] = { "fe80::1", 99 }, ["[::1]"] = { "::1", 123 },
    }) do
      assert.same(expected, { time.parse_server(text) })
    end
    for _, text in ipairs({ "", "a b", "host:0", "host:70000", "host:x", "http://host" }) do
      assert.is_nil((time.parse_server(text)), text)
    end
  end)

  it("has the median of odd and even lists", function()
    assert.equal(2, time.median({ 3, 1, 2 }))
    assert.equal(2.5, time.median({ 4, 1, 2, 3 }))
    assert.equal(7, time.median({ 7 }))
  end)
end)
