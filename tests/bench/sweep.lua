-- `agent lua tests/bench/sweep.lua PATH BATCHES`: the median of CPU microseconds that one run of PROC takes with
-- three items, one of them for PATH; then the longest stall of the loop in milliseconds, and how many matched.

local host = require("host")
local uv = require("luv")

local path, batches = arg[1], tonumber(arg[2]) or 9

local now = 0
local function ignore() end
local collector = require("agent.collect.proc").new({
  procfs = require("host.procfs").open(), conf = {},
  clock = { mono = function() return now + uv.hrtime() / 1e9 end },
  log = { warning = ignore, info = ignore },
})
local items = {}
for i, executable in ipairs({ path, "/usr/sbin/nginx", "/usr/sbin/sshd" }) do
  items[i] = { ns = "bench", name = "PROC." .. i, path = executable, interval = 60 }
end

local function run()
  local results
  local began = os.clock()
  now = now + 60
  collector.run(items, function(found) results = found end)
  while not results do uv.run("once") end
  return (os.clock() - began) * 1e6, results[1].metrics[1].value
end

run()
uv.run("nowait")
host.take_stall()
local times, matched = {}, nil
for i = 1, batches do
  times[i], matched = run()
  uv.run("nowait")
end
table.sort(times)
print(("%.0f %.2f %d"):format(times[math.ceil(batches / 2)], host.take_stall(), matched))
