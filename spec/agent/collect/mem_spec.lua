local kernels = require("kernels")
local mem = require("agent.collect.mem")

local function collect(name)
  local metrics, err = kernels.run(mem.new(kernels.env(kernels.open(name))))
  return kernels.flat(metrics), err
end

describe("collect.mem", function()
  it("adds up what is free where the kernel has no MemAvailable (2.6.32)", function()
    assert.are.same({
      ["mem.total"] = 15951, -- 16334568 / 1024 = 15951.7
      ["mem.free"] = 1205 + 337 + 8559, -- each rounded down before the sum
      ["mem.used"] = 5850,
      ["mem.used.percent"] = 36.67, -- 5850 / 15951 = 36.6748…
      ["mem.buffers"] = 337,
      ["mem.cached"] = 8559,
      ["mem.swap.used.percent"] = 25, -- (8191 - 6143) / 8191 = 25.003…
    }, (collect("linux-2.6.32")))
  end)

  it("takes MemAvailable; unused swap is 0 % (3.10)", function()
    assert.are.same({
      ["mem.total"] = 3789,
      ["mem.free"] = 2667,
      ["mem.used"] = 1122,
      ["mem.used.percent"] = 29.61,
      ["mem.buffers"] = 2,
      ["mem.cached"] = 2614,
      ["mem.swap.used.percent"] = 0,
    }, (collect("linux-3.10")))
  end)

  it("gives 0 % where there is no swap (4.18)", function()
    local flat = collect("linux-4.18")
    assert.are.equal(0, flat["mem.swap.used.percent"])
    assert.are.equal(64169, flat["mem.total"])
    assert.are.equal(56761, flat["mem.free"])
  end)

  it("is never used below zero", function()
    local memory = { total = 1024, free = 1024, available = 4096, buffers = 0, cached = 0 }
    memory.swap_total, memory.swap_free = 0, 2048
    local source = { meminfo = function() return memory end }
    local flat = kernels.flat(kernels.run(mem.new(kernels.env(source))))
    assert.are.equal(0, flat["mem.used"])
    assert.are.equal(0, flat["mem.used.percent"])
    assert.are.equal(0, flat["mem.swap.used.percent"])
  end)

  it("says what it cannot understand", function()
    local flat, err = collect("hostile/nonsense")
    assert.are.same({}, flat)
    assert.are.equal("EINVAL", err.code)
  end)
end)
