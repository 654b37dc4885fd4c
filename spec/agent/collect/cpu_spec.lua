local kernels = require("kernels")
local cpu = require("agent.collect.cpu")

local function cores(flat)
  local found = {}
  for key, value in pairs(flat) do
    local core = key:match("^cpu%.idle%.core core=(.*)")
    if core then found[core] = value end
  end
  return found
end

-- A source of one aggregate and some cores; everything else of the group is there, too.
local function source(all, list)
  return {
    cpu = function() return { total = all[1], idle = all[2], cores = list or {} } end,
    loadavg = function() return 0.5, 0.25, 1 end,
    processes = function() return { total = 3, running = 1, zombies = 0 } end,
  }
end

local function core(id, total, idle)
  return { id = id, total = total, idle = idle }
end

describe("collect.cpu", function()
  it("counts guests once and goes on behind a quiet core (2.6.32)", function()
    local flat = kernels.rates("cpu", "linux-2.6.32", 10)
    -- totals 1000, 1000, 0, 1000 ticks; idle 840, 1000, 0, 666
    assert.are.same({ ["0"] = 84, ["1"] = 100, ["2"] = 100, ["3"] = 66.6 }, cores(flat))
    assert.are.equal(83.53, flat["cpu.idle"]) -- 2506 / 3000 = 83.533…
  end)

  it("keeps the numbers of cores where one is offline (3.10)", function()
    local flat = kernels.rates("cpu", "linux-3.10", 10)
    assert.are.same({ ["0"] = 65, ["2"] = 99, ["3"] = 0.3 }, cores(flat))
    assert.are.equal(54.76, flat["cpu.idle"]) -- 1643 / 3000 = 54.766…
  end)

  it("does not count waiting for I/O as idle (4.18)", function()
    local flat = kernels.rates("cpu", "linux-4.18", 10)
    assert.are.same({ ["0"] = 0, ["1"] = 99.4 }, cores(flat))
    assert.are.equal(49.7, flat["cpu.idle"])
  end)

  it("reads load and processes, whatever their names (6.1)", function()
    local flat = kernels.rates("cpu", "linux-6.1", 10)
    assert.are.same({ ["0"] = 90, ["1"] = 90 }, cores(flat))
    assert.are.equal(1, flat["agent.alive"])
    assert.are.equal(0.2, flat["cpu.loadavg.1"])
    assert.are.equal(0.18, flat["cpu.loadavg.5"])
    assert.are.equal(0.12, flat["cpu.loadavg.15"])
    assert.are.equal(7, flat["ps.total.num"])
    assert.are.equal(1, flat["ps.running.num"])
    assert.are.equal(2, flat["ps.zombies.num"])
  end)

  it("leaves out a process that ended while it was read (2.6.32)", function()
    assert.are.equal(5, kernels.rates("cpu", "linux-2.6.32", 10)["ps.total.num"])
  end)

  it("gives no cpu.idle in the first run, but all else", function()
    local env = kernels.env(kernels.open("linux-6.1"))
    local metrics, err = kernels.run(cpu.new(env))
    local flat = kernels.flat(metrics)
    assert.is_nil(err)
    assert.is_nil(flat["cpu.idle"])
    assert.are.same({}, cores(flat))
    assert.are.equal(1, flat["agent.alive"])
    assert.are.equal(7, flat["ps.total.num"])
  end)

  it("gives nothing for counters that went backwards, and goes on from there", function()
    local env = kernels.env(source({ 1000, 900 }, { core(0, 500, 450), core(1, 500, 450) }))
    local collector = cpu.new(env)
    kernels.run(collector)
    env.show(source({ 1100, 950 }, { core(0, 100, 90), core(1, 600, 400) }))
    env.at(1010)
    local flat = kernels.flat(kernels.run(collector))
    assert.are.equal(50, flat["cpu.idle"])
    assert.are.same({}, cores(flat))
    env.show(source({ 1200, 1000 }, { core(0, 200, 115), core(1, 700, 500) }))
    env.at(1020)
    flat = kernels.flat(kernels.run(collector))
    assert.are.same({ ["0"] = 25, ["1"] = 100 }, cores(flat))
  end)

  it("forgets a core that was unplugged: no spike when it is back", function()
    local env = kernels.env(source({ 200, 100 }, { core(0, 100, 50), core(1, 100, 50) }))
    local collector = cpu.new(env)
    kernels.run(collector)
    env.show(source({ 300, 150 }, { core(0, 200, 100) }))
    env.at(1010)
    assert.are.same({ ["0"] = 50 }, cores(kernels.flat(kernels.run(collector))))
    env.show(source({ 400, 200 }, { core(0, 300, 150), core(1, 9000, 50) }))
    env.at(1020)
    assert.are.same({ ["0"] = 50 }, cores(kernels.flat(kernels.run(collector))))
    env.show(source({ 500, 250 }, { core(0, 400, 200), core(1, 9100, 75) }))
    env.at(1030)
    assert.are.same({ ["0"] = 50, ["1"] = 25 }, cores(kernels.flat(kernels.run(collector))))
  end)

  it("keeps its base when two runs are too close", function()
    local env = kernels.env(source({ 1000, 500 }))
    local collector = cpu.new(env)
    kernels.run(collector)
    env.show(source({ 1001, 500 }))
    env.at(1000.01)
    assert.is_nil(kernels.flat(kernels.run(collector))["cpu.idle"])
    env.show(source({ 2000, 1000 }))
    env.at(1010)
    assert.are.equal(50, kernels.flat(kernels.run(collector))["cpu.idle"])
  end)

  it("is alive even where nothing can be read, and says what is missing", function()
    local metrics, err = kernels.run(cpu.new(kernels.env(kernels.open("hostile/missing"))))
    assert.are.equal(1, kernels.flat(metrics)["agent.alive"])
    assert.are.equal("ENOENT", err.code)
    assert.truthy(err.message:find("stat", 1, true))
    assert.truthy(err.message:find("loadavg", 1, true))
  end)
end)
