-- The agent, with one namespace and with twenty, beside collectd and node_exporter: all at the same time,
-- so that what disturbs one disturbs all.

local groups = require("group")
local median = require("report").median
local nsqd_server = require("nsqd")
local programs = require("programs")
local program = require("program")
local uv = require("luv")

local WINDOWS = 4
local SAMPLE_SECONDS = 2

local function sleep(seconds)
  local till = uv.hrtime() + seconds * 1e9
  program.wait("time", seconds + 5, function() return uv.hrtime() >= till end)
end

local function start(list)
  for _, one in ipairs(list) do
    one.group = groups.new(one.name:gsub("[^%w]+", "-"))
    one.child = one.group:spawn(one.path, one.args)
    one.cpu, one.uss, one.rss = {}, {}, {}
  end
end

local function alive(list)
  for _, one in ipairs(list) do
    assert(not one.child.code, one.name .. " ended: " .. one.child.output)
  end
end

local function sample_memory(out, list)
  for _, one in ipairs(list) do
    local uss, rss, processes = one.group:memory()
    table.insert(one.uss, uss)
    table.insert(one.rss, rss)
    out:sample("memory_mib", one.name, uss, rss, processes)
  end
end

-- CPU of each program in WINDOWS windows of equal length, in ms per minute.
local function watch(out, list, seconds)
  local length = seconds / WINDOWS
  for _, one in ipairs(list) do
    one.last = one.group:cpu_ms()
    one.first = one.last
  end
  local began = uv.hrtime()
  for window = 1, WINDOWS do
    while (uv.hrtime() - began) / 1e9 < length * window - 0.001 do
      sleep(math.max(0.001, math.min(SAMPLE_SECONDS, length * window - (uv.hrtime() - began) / 1e9)))
      sample_memory(out, list)
      for _, one in ipairs(list) do one.now = one.group:cpu_ms() end
    end
    for _, one in ipairs(list) do
      one.cpu[window] = (one.now - one.last) * 60 / length
      one.last = one.now
      out:sample("cpu_ms_per_minute", one.name, window, one.cpu[window])
    end
  end
  for _, one in ipairs(list) do
    one.whole = (one.last - one.first) * 60 / ((uv.hrtime() - began) / 1e9)
  end
end

local function maximum(values)
  return math.max(unpack(values))
end

local function per_minute(one, seconds)
  return one.group.syscalls and one.group.syscalls * 60 / seconds
end

local function table_of(out, list, seconds, how)
  out:head("program", "USS MiB (most)", "RSS MiB (most)", "CPU ms/min", "of all windows", "system calls/min")
  for _, one in ipairs(list) do
    local calls = per_minute(one, seconds)
    out:row(one.name, ("%.2f (%.2f)"):format(median(one.uss), maximum(one.uss)),
      ("%.2f (%.2f)"):format(median(one.rss), maximum(one.rss)), ("%.1f"):format(median(one.cpu)),
      ("%.1f"):format(one.whole), calls and ("%.0f"):format(calls) or "-")
  end
  out:line("")
  out:line(("USS and RSS: all processes of the program, from smaps_rollup each %d s, median and most. CPU: "
    .. "%s; median of %d windows, and the mean of all of them, which holds what is done each 60 or 300 s. "
    .. "System calls: %s, %d s after the CPU windows."):format(SAMPLE_SECONDS,
    groups.root and "cgroup v2 cpu.stat, ended processes included" or
      "schedstat of the living processes (no cgroup could be made)", WINDOWS, how, seconds))
end

local function ratio(a, b)
  return a and b and b > 0 and a / b or nil
end

local function goals(out, by, seconds)
  local agent, collectd = by.agent, by.collectd
  out:goal("agent, all processes, USS MiB", "%.2f", median(agent.uss), 2.0)
  out:goal("agent, all processes, RSS MiB", "%.2f", median(agent.rss), 4.5)
  out:goal("CPU of the agent / of collectd", "%.3f", collectd and ratio(agent.whole, collectd.whole), 0.25)
  out:goal("CPU with 20 namespaces / with 1", "%.2f", ratio(by.twenty.whole, agent.whole), 1.2)
  out:goal("system calls of the agent / of collectd", "%.3f",
    collectd and ratio(per_minute(agent, seconds), per_minute(collectd, seconds)), 1 / 3)
end

local function close(list)
  for _, one in ipairs(list) do
    if one.group then one.group:close() end
    if one.close then one.close() end
  end
end

return function(out, options)
  assert(not nsqd_server.missing(), nsqd_server.missing())
  local nsqd, folder = nsqd_server.start(), options.folder
  local by = {
    agent = programs.agent("agent", folder .. "/agent", nsqd, 1, "one"),
    twenty = programs.agent("agent, 20 namespaces", folder .. "/agent20", nsqd, 20, "twenty"),
    collectd = programs.collectd("collectd", folder .. "/collectd", true),
    lean = programs.collectd("collectd without processes", folder .. "/lean", false),
    exporter = programs.node_exporter("node_exporter"),
  }
  local list = {}
  for _, name in ipairs({ "agent", "twenty", "collectd", "lean", "exporter" }) do
    list[#list + 1] = by[name]
    if not by[name] then io.stderr:write("bench: ", name, " is not installed; its row is left out\n") end
  end
  local ok, why = xpcall(function()
    start(list)
    sleep(options.warmup)
    alive(list)
    watch(out, list, options.seconds)
    local counting = math.max(20, math.floor(options.seconds / 2 / 10) * 10)
    local measured = {}
    for i, one in ipairs(list) do measured[i] = one.group end
    local how = groups.count_syscalls(measured, counting)
    alive(list)
    table_of(out, list, counting, how)
    goals(out, by, counting)
  end, debug.traceback)
  close(list)
  nsqd:stop()
  if not ok then error(why, 0) end
end
