-- 200 plugins at 10 s, each a trivial script, beside a C loop that only executes the same scripts; when they start;
-- and the supervisor's memory over an hour's runs, which 1 s intervals make ten times shorter. Plain directories
-- are plugins, too, so that no git is needed.

local cjson = require("cjson")
local groups = require("group")
local median = require("report").median
local program = require("program")
local uv = require("luv")

local PLUGINS, INTERVAL = 200, 10
local HOUR_RUNS = 360
local MINUTE = 60 -- seconds: 20 s after its start the agent gives pages back, and then touches again what it needs
local SAMPLES = 15
local NS = "bench.loda"

-- Prints when it runs: microseconds since the last full ten seconds.
local SCRIPT = [=[
#!/bin/bash
now=${EPOCHREALTIME/./}
echo "[{\"name\":\"start\",\"value\":$((now % 10000000))}]"
]=]

local function sleep(seconds)
  local till = uv.hrtime() + seconds * 1e9
  program.wait("time", seconds + 5, function() return uv.hrtime() >= till end)
end

local function make_plugins(folder)
  local scripts = {}
  assert(os.execute(("mkdir -p %s/plugins/%s && chmod 755 %s"):format(folder, NS, folder)) == 0)
  for i = 1, PLUGINS do
    local dir = ("%s/plugins/%s/p%d"):format(folder, NS, i)
    uv.fs_mkdir(dir, 493)
    program.write(dir .. "/plugin.sh", SCRIPT)
    uv.fs_chmod(dir .. "/plugin.sh", 493)
    scripts[i] = dir .. "/plugin.sh"
  end
  return scripts
end

local function start(name, folder, interval)
  local items = {}
  for i = 1, PLUGINS do
    items[i] = { measurement_type = "PLUGIN", name = "PLUGIN.p" .. i, git = ("git@example.org:bench/p%d.git"):format(i),
      interval = tostring(interval) }
  end
  uv.fs_mkdir(folder .. "/out", 493) -- the registry's directory is watched
  local conf = program.configure(folder, { agent = { git = "ssh://git@example.org/%s.git", mininterval = 1 },
    output = { path = folder .. "/out/points", maxsize = 2 ^ 30 }, log = { loglevel = "WARNING" } }, { [NS] = items })
  local group = groups.new(name)
  local program_of = os.getenv("AGENT") -- its modules for workers lie beside it
  assert(os.execute(("cp '%s' '%s/agent' && cp -r '%s/lib' '%s'"):format(program_of, folder,
    program_of:match("^(.*)/"), folder)) == 0)
  local child = group:spawn(folder .. "/agent", { "start", "-f", conf })
  program.ready(folder, child)
  return { group = group, child = child, folder = folder }
end

-- CPU of the supervisor's own threads.
local function own_ms(agent)
  local sum, tasks = 0, uv.fs_scandir(("/proc/%d/task"):format(agent.child.pid))
  for task in function() return uv.fs_scandir_next(tasks) end do
    local text = program.read(("/proc/%d/task/%s/schedstat"):format(agent.child.pid, task))
    sum = sum + (tonumber(text and text:match("^%d+")) or 0)
  end
  return sum / 1e6
end

-- Starts of each plugin, as the plugins themselves saw them; microseconds in the interval.
local function starts(folder, skip)
  local of = {}
  for line in (program.read(folder .. "/out/points") or ""):gmatch("([^\n]+)\n") do
    if line:find('"PLUGIN.p', 1, true) then
      for _, point in ipairs(cjson.decode(line).points) do
        local name = point.measurement:match("^PLUGIN%.(p%d+)%.start$")
        if name then
          of[name] = of[name] or {}
          table.insert(of[name], point.fields.value)
        end
      end
    end
  end
  for _, list in pairs(of) do
    for _ = 1, skip do table.remove(list, 1) end -- the first run of all comes early, not at its phase
  end
  return of
end

-- On a circle: the phase may lie at its seam.
local function distance(a, b)
  local circle = INTERVAL * 1e6
  local d = (a - b) % circle
  return math.min(d, circle - d)
end

local function phase(list)
  local moved = {}
  for i, at in ipairs(list) do moved[i] = (at - list[1] + INTERVAL * 5e5) % (INTERVAL * 1e6) end
  return (median(moved) + list[1] - INTERVAL * 5e5) % (INTERVAL * 1e6)
end

local function jitter_and_phases(out, folder)
  local late, tenths, plugins = {}, {}, 0
  for name, list in pairs(starts(folder, 1)) do
    local own = phase(list)
    plugins = plugins + 1
    local tenth = math.floor(own / (INTERVAL * 1e5))
    tenths[tenth] = (tenths[tenth] or 0) + 1
    for _, at in ipairs(list) do
      late[#late + 1] = distance(at, own) / 1e3
      out:sample("plugin_start_ms", name, own / 1e3, late[#late])
    end
  end
  assert(plugins == PLUGINS, ("only %d plugins ran"):format(plugins))
  table.sort(late)
  local most = 0
  for _, n in pairs(tenths) do most = math.max(most, n) end
  return late, most / (PLUGINS / 10)
end

local function cost(out, options, folder)
  uv.fs_mkdir(folder, 493)
  local scripts = make_plugins(folder)
  local agent = start("plugins", folder, INTERVAL)
  local floor = groups.new("scripts")
  floor:spawn(os.getenv("SCRIPTS"), { tostring(INTERVAL * 1000), tostring(options.seconds + options.warmup + 60),
    unpack(scripts) })
  sleep(math.max(options.warmup, INTERVAL + 5))
  local agent_before, floor_before, own_before = agent.group:cpu_ms(), floor:cpu_ms(), own_ms(agent)
  sleep(options.seconds)
  local own = own_ms(agent) - own_before
  local agent_ms, floor_ms = agent.group:cpu_ms() - agent_before, floor:cpu_ms() - floor_before
  floor:close()
  agent.group:close()
  local runs = options.seconds / INTERVAL * PLUGINS
  out:head("200 plugins at 10 s", "CPU ms/s", "µs per run")
  out:row("C, vfork and exec of the same scripts", ("%.1f"):format(floor_ms / options.seconds),
    ("%.0f"):format(floor_ms * 1e3 / runs))
  out:row("agent and plugins", ("%.1f"):format(agent_ms / options.seconds), ("%.0f"):format(agent_ms * 1e3 / runs))
  out:row("of that the supervisor itself", ("%.1f"):format(own / options.seconds), ("%.0f"):format(own * 1e3 / runs))
  out:goal("200 plugins: CPU of agent and plugins / a C loop that executes the same", "%.2f", agent_ms / floor_ms, 1.2)
  local late, crowded = jitter_and_phases(out, folder)
  out:goal("200 plugins: start off its phase, ms (99th percentile)", "%.1f", late[math.ceil(#late * 0.99)], 10)
  out:goal("200 plugins: most starts in a tenth of the interval / even share", "%.2f", crowded, 2)
end

local function supervisor_uss(agent)
  local values = {}
  for i = 1, SAMPLES do
    local text = assert(program.read(("/proc/%d/smaps_rollup"):format(agent.child.pid)))
    values[i] = (text:match("Private_Clean:%s+(%d+)") + text:match("Private_Dirty:%s+(%d+)")) / 1024
    sleep(0.4)
  end
  return median(values)
end

local function memory(out, folder)
  uv.fs_mkdir(folder, 493)
  make_plugins(folder)
  local agent = start("plugins-hour", folder, 1)
  sleep(MINUTE)
  local minute = supervisor_uss(agent)
  sleep(HOUR_RUNS)
  local hour = supervisor_uss(agent)
  out:sample("plugins_uss_mib", minute, hour)
  agent.group:close()
  out:head("200 plugins, supervisor alone", "USS MiB")
  out:row("after a minute", ("%.2f"):format(minute))
  out:row("after an hour's runs more", ("%.2f"):format(hour))
  out:goal("200 plugins: USS after an hour's runs more / after a minute", "%.3f", hour / minute, 1.05)
end

return function(out, options)
  uv.fs_chmod(options.folder, 493) -- for the plugins' user
  cost(out, options, options.folder .. "/plugins")
  if os.getenv("BENCH_HOUR") ~= "no" then memory(out, options.folder .. "/plugins-hour") end
end
