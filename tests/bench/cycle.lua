-- `agent lua tests/bench/cycle.lua CYCLES BATCHES [encode]`: the median of CPU microseconds that one
-- cycle of the groups CPU, MEM, DISK and NET takes; with `encode` also that of making the message.

local points = require("agent.publish.points")

local cycles, batches, encode = tonumber(arg[1]) or 100, tonumber(arg[2]) or 9, arg[3] == "encode"

-- Runs follow each other at once, but the collectors are told that 10 s have passed: what they do once a
-- minute they do in every sixth run, as in life.
local now = 0
local function ignore() end
local env = {
  procfs = require("host.procfs").open({ procfs = "/proc", sysfs = "/sys", rootfs = "/" }),
  conf = { ifaceprefix = {} },
  clock = { mono = function() return now end, wall = os.time },
  log = { error = error, warning = ignore, info = ignore, debug = ignore },
}
local collectors = {}
for i, name in ipairs({ "cpu", "mem", "disk", "net" }) do
  collectors[i] = require("agent.collect." .. name).new(env)
end

local made = 0
local function take(metrics)
  made = made + #metrics
  if encode then points.encode(metrics, "bench", 1700000000) end
end

local function batch()
  local began = os.clock()
  for _ = 1, cycles do
    now = now + 10
    for i = 1, #collectors do collectors[i].run(take) end
  end
  return (os.clock() - began) * 1e6 / cycles
end

batch()
local results = {}
for i = 1, batches do results[i] = batch() end
table.sort(results)
assert(made > 0, "nothing was collected")
print(("%.2f"):format(results[math.ceil(batches / 2)]))
