local kernels = require("kernels")
local net = require("agent.collect.net")

local function interface(name, bytes)
  return { name = name, in_bytes = bytes, in_dropped = 0, out_bytes = bytes, out_dropped = 0 }
end

-- Interfaces with one speed for all; asked counts the questions for it.
local function source(speed, ...)
  local list = { ... }
  local s = { asked = 0 }
  function s.netdev() return list end
  function s.link_speed()
    s.asked = s.asked + 1
    return speed
  end
  function s.sockstat() return { used = 9, tcp_inuse = 2, tcp_timewait = 1 } end
  return s
end

local function without_sockets(flat)
  flat["net.sockets.used"], flat["net.tcp.inuse"], flat["net.tcp.timewait"] = nil, nil, nil
  return flat
end

describe("collect.net", function()
  it("computes bits per second and shares of the link (2.6.32)", function()
    local flat = kernels.rates("net", "linux-2.6.32", 10, { ifaceprefix = { "eth" } })
    assert.are.same({
      ["net.in interface=eth0"] = 1e7, -- 12.5 MB in 10 s, beyond 2^32 in between
      ["net.out interface=eth0"] = 2e6,
      ["net.in.percent interface=eth0"] = 1,
      ["net.out.percent interface=eth0"] = 0.2,
      ["net.in.dropped interface=eth0"] = 0.5,
      ["net.out.dropped interface=eth0"] = 0,
      ["net.speed interface=eth0"] = 1000,
      ["net.in interface=eth1"] = 0,
      ["net.out interface=eth1"] = 0,
      ["net.in.dropped interface=eth1"] = 0,
      ["net.out.dropped interface=eth1"] = 0,
      ["net.speed interface=eth1"] = 0, -- 65535: unknown
      ["net.sockets.used"] = 152,
      ["net.tcp.inuse"] = 9,
      ["net.tcp.timewait"] = 3,
    }, flat)
  end)

  it("takes all interfaces without a prefix, fractions of seconds and an unknown speed (3.10)", function()
    local flat = kernels.rates("net", "linux-3.10", 10.5, { ifaceprefix = {} })
    assert.are.equal(761.9, flat["net.in interface=eth0"]) -- 8000 / 10.5 = 761.904…
    assert.are.equal(2.28, flat["net.out interface=eth0"])
    assert.is_nil(flat["net.in.percent interface=eth0"])
    assert.are.equal(1 / 10.5, flat["net.out.dropped interface=docker0"])
    assert.are.equal(0, flat["net.in interface=lo"])
    assert.are.equal(511, flat["net.tcp.timewait"])
  end)

  it("accepts what the link can carry, to the bit, and nothing above (4.18)", function()
    local flat = kernels.rates("net", "linux-4.18", 10, { ifaceprefix = { "team", "enp" } })
    assert.are.equal(2.5e9, flat["net.in interface=enp59s0f0np0v12"])
    assert.are.equal(10, flat["net.in.percent interface=enp59s0f0np0v12"])
    assert.is_nil(flat["net.in interface=team0"]) -- one byte more than 2500 Mbit/s
    assert.is_nil(flat["net.in.percent interface=team0"])
    assert.are.equal(0.8, flat["net.out interface=team0"])
    assert.are.equal(0, flat["net.out.percent interface=team0"])
    assert.is_nil(flat["net.in interface=lo"])
  end)

  it("survives counters at the end of 64 bits (6.1)", function()
    local flat = kernels.rates("net", "linux-6.1", 10, { ifaceprefix = { "wl", "eth" } })
    assert.are.equal(0, flat["net.in interface=wlp2s0"])
    assert.are.equal(100, flat["net.in interface=eth0"])
    assert.are.equal(200, flat["net.out interface=eth0"])
    assert.are.equal(0.1, flat["net.in.dropped interface=eth0"])
    assert.are.equal(0.2, flat["net.out.dropped interface=eth0"])
  end)

  it("gives sockets alone in the first run, and has no traffic to tell of", function()
    local collector = net.new(kernels.env(kernels.open("linux-6.1")))
    assert.are.same({}, without_sockets(kernels.flat(kernels.run(collector))))
    assert.is_nil(collector.last())
  end)

  it("keeps the interface metrics of the last run for /me/traffic, without the sockets", function()
    local env = kernels.env(source(100, interface("eth0", 0)))
    local collector = net.new(env)
    kernels.run(collector)
    env.show(source(100, interface("eth0", 1250)))
    env.at(1010)
    local flat = without_sockets(kernels.flat(kernels.run(collector)))
    assert.are.same(flat, kernels.flat(collector.last()))
    assert.are.equal(1000, flat["net.in interface=eth0"])
  end)

  it("gives no spike for an interface that is new, back, or counts from the beginning again", function()
    local env = kernels.env(source(0, interface("eth0", 5000), interface("eth1", 5000)))
    local collector = net.new(env)
    kernels.run(collector)
    env.show(source(0, interface("eth0", 10), interface("veth1", 1e15)))
    env.at(1010)
    local flat = without_sockets(kernels.flat(kernels.run(collector)))
    assert.are.same({ ["net.speed interface=eth0"] = 0 }, flat)
    env.show(source(0, interface("eth0", 20), interface("eth1", 9e9), interface("veth1", 1e15)))
    env.at(1020)
    flat = without_sockets(kernels.flat(kernels.run(collector)))
    assert.are.equal(8, flat["net.in interface=eth0"])
    assert.is_nil(flat["net.in interface=eth1"])
    assert.are.equal(0, flat["net.in interface=veth1"])
  end)

  it("keeps its base when two runs are too close", function()
    local env = kernels.env(source(0, interface("eth0", 0)))
    local collector = net.new(env)
    kernels.run(collector)
    env.show(source(0, interface("eth0", 1000)))
    assert.are.same({}, without_sockets(kernels.flat(kernels.run(collector))))
    env.at(1010)
    assert.are.equal(800, kernels.flat(kernels.run(collector))["net.in interface=eth0"])
  end)

  it("asks for a speed once a minute, and anew before it refuses a rate", function()
    local s = source(100, interface("eth0", 0))
    local env = kernels.env(s)
    local collector = net.new(env)
    for i = 0, 12 do
      env.at(1000 + 10 * i)
      kernels.run(collector)
    end
    assert.are.equal(2, s.asked) -- at 10 s and at 70 s
    local faster = source(10000, interface("eth0", 4.5e9)) -- 4 Gbit/s, 9 s later
    env.show(faster)
    env.at(1129)
    assert.are.equal(4e9, kernels.flat(kernels.run(collector))["net.in interface=eth0"])
  end)

  it("goes on without one of its files", function()
    local s = source(0, interface("eth0", 0))
    s.sockstat = function() return nil, "net/sockstat: gone", "ENOENT" end
    local env = kernels.env(s)
    local collector = net.new(env)
    kernels.run(collector)
    env.at(1010)
    local metrics, err = kernels.run(collector)
    assert.are.equal(0, kernels.flat(metrics)["net.in interface=eth0"])
    assert.are.equal("ENOENT", err.code)
  end)
end)
