local kernels = require("kernels")
local disk = require("agent.collect.disk")

-- { reads, writes, await, util } by device.
local function by_device(flat)
  local devices = {}
  local places = { read_requests = 1, write_requests = 2, await = 3, util = 4 }
  for key, value in pairs(flat) do
    local what, device = key:match("^disk%.io%.(%S+) device=(.*)")
    devices[device] = devices[device] or {}
    devices[device][places[what]] = value
  end
  return devices
end

local function counters(name, n)
  return { name = name, reads = n, read_ms = n, writes = n, write_ms = n, io_ms = n }
end

local function source(...)
  local list = { ... }
  return { disks = function() return list end }
end

describe("collect.disk", function()
  it("sees whole disks only: sd, dm and cciss (2.6.32)", function()
    assert.are.same({
      -- (400 + 600) ms / (50 + 150) requests = 5; 2500 ms of 10 s = 25 %
      sda = { 5, 15, 5, 25 },
      ["dm-0"] = { 0, 2.5, 4, 10 },
      ["cciss/c0d0"] = { 0, 1, 3.3, 100 },
    }, by_device(kernels.rates("disk", "linux-2.6.32", 10)))
  end)

  it("sees xvd and md, also a disk that was never read (3.10)", function()
    assert.are.same({
      xvda = { 1, 2, 0.5, 100 },
      xvdb = { 0, 0.3, 0.33, 0.01 },
      md0 = { 0.5, 0.5, 0, 0 },
      ["dm-0"] = { 0, 0.7, 0.28, 0.03 },
    }, by_device(kernels.rates("disk", "linux-3.10", 10)))
  end)

  it("sees NVMe, dm, md and connected nbd, and divides by fractions of seconds (4.18)", function()
    assert.are.same({
      nvme0n1 = { 117.52, 411.52, 0.09, 47.61 }, -- 1234, 4321, 555 / 5555 and 5000 ms in 10.5 s
      nvme1n1 = { 0, 0, 0, 0 },
      ["dm-0"] = { 114.28, 409.52, 0.09, 46.66 },
      md127 = { 0.09, 0, 0, 0 },
      nbd0 = { 0.19, 0, 0.5, 0 },
    }, by_device(kernels.rates("disk", "linux-4.18", 10.5)))
  end)

  it("reads the 20 columns of 5.5 and later; sdaa and mmc are disks (6.1)", function()
    assert.are.same({
      vda = { 0.3, 0.4, 0.42, 0.1 },
      sdaa = { 0.1, 0, 3, 0 },
      mmcblk0 = { 0, 0, 0, 0 },
      ["dm-0"] = { 0, 0, 0, 0 },
    }, by_device(kernels.rates("disk", "linux-6.1", 10)))
  end)

  it("gives nothing in the first run", function()
    assert.are.same({}, kernels.run(disk.new(kernels.env(kernels.open("linux-6.1")))))
  end)

  it("gives nothing for counters that went backwards, nor for a device that is new or back", function()
    local env = kernels.env(source(counters("sda", 1000), counters("sdb", 1000)))
    local collector = disk.new(env)
    kernels.run(collector)
    env.show(source(counters("sda", 10), counters("sdc", 77777)))
    env.at(1010)
    assert.are.same({}, kernels.run(collector))
    env.show(source(counters("sda", 20), counters("sdb", 5000), counters("sdc", 77787)))
    env.at(1020)
    local devices = by_device(kernels.flat(kernels.run(collector)))
    assert.are.same({ sda = { 1, 1, 1, 0.1 }, sdc = { 1, 1, 1, 0.1 } }, devices)
  end)

  it("keeps its base when two runs are too close", function()
    local env = kernels.env(source(counters("sda", 0)))
    local collector = disk.new(env)
    kernels.run(collector)
    env.show(source(counters("sda", 5)))
    env.at(1000.05)
    assert.are.same({}, kernels.run(collector))
    env.at(1000)
    assert.are.same({}, kernels.run(collector))
    env.show(source(counters("sda", 100)))
    env.at(1010)
    assert.are.equal(10, kernels.flat(kernels.run(collector))["disk.io.read_requests device=sda"])
  end)

  it("says what cannot be read", function()
    local metrics, err = kernels.run(disk.new(kernels.env(kernels.open("hostile/missing"))))
    assert.are.same({}, metrics)
    assert.are.equal("ENOENT", err.code)
  end)
end)
