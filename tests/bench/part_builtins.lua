-- Builtin functions: 500 that wait a second on a socket each ten seconds, what a run of a trivial one costs, and how
-- long 200 changed files take.

local builtin = require("builtin")
local cjson = require("cjson")
local median = require("report").median
local program = require("program")
local uv = require("luv")

local FUNCTIONS, INTERVAL, WARMUP, WINDOW = 500, 10, 25, 40
local FILES, RELOADS = 200, 9

-- CPU that a process has used, in milliseconds.
local function cpu_ms(pid)
  local total = 0
  local dir = uv.fs_scandir(("/proc/%d/task"):format(pid))
  for task in function() return dir and uv.fs_scandir_next(dir) end do
    local text = program.read(("/proc/%d/task/%s/schedstat"):format(pid, task))
    total = total + (text and tonumber(text:match("%d+")) or 0)
  end
  return total / 1e6
end

local function uss_mib(pid)
  local text = program.read(("/proc/%d/smaps_rollup"):format(pid))
  return (text:match("Private_Clean:%s+(%d+)") + text:match("Private_Dirty:%s+(%d+)")) / 1024
end

local function sleep(seconds)
  local till = uv.hrtime() + seconds * 1e9
  program.wait("time", seconds + 10, function() return uv.hrtime() >= till end)
end

local function status(folder)
  return cjson.decode((program.curl(folder, "/me/status")))
end

-- Runs, missed ticks and failed runs of all functions so far.
local function counts(now)
  local sum = { runs = 0, missed = 0, errors = 0 }
  for id, one in pairs(now.schedules) do
    if id:find("^BUILTIN") then
      for key in pairs(sum) do sum[key] = sum[key] + one[key] end
    end
  end
  return sum
end

local function start(folder, assigned)
  local path = program.configure(folder, { log = { loglevel = "INFO" }, builtins = assigned })
  local agent = program.spawn(os.getenv("AGENT"), { "start", "-f", path })
  program.ready(folder, agent)
  return agent
end

local function stop(agent, folder)
  agent.kill("sigterm")
  agent.wait(10)
  program.remove(folder)
end

-- What both processes used between two looks, and what was done.
local function watch(folder, agent)
  sleep(WARMUP)
  local before, worker = counts(status(folder)), status(folder).builtins.pid
  local supervisor_ms, worker_ms, began = cpu_ms(agent.pid), cpu_ms(worker), uv.hrtime()
  sleep(WINDOW)
  local seconds = (uv.hrtime() - began) / 1e9
  supervisor_ms, worker_ms = cpu_ms(agent.pid) - supervisor_ms, cpu_ms(worker) - worker_ms
  local now = status(folder)
  local after = counts(now)
  return { runs = after.runs - before.runs, missed = after.missed - before.missed,
    errors = after.errors - before.errors,
    supervisor_ms = supervisor_ms, worker_ms = worker_ms, seconds = seconds, uss = uss_mib(worker),
    stall = now.stall_ms }
end

local function assign(run, params)
  local assigned = {}
  for i = 1, FUNCTIONS do
    assigned[("w%d"):format(i)] = { run = run, interval = INTERVAL, params = params }
  end
  return assigned
end

local function waiting(out)
  local folder = builtin.folder()
  local server = builtin.server(function(client)
    client:read_start(function(_, chunk)
      if not chunk then return client:is_closing() or client:close() end
      local timer = uv.new_timer()
      timer:start(1000, 0, function()
        timer:close()
        if not client:is_closing() then client:write("hello\n") end
      end)
    end)
  end)
  builtin.write(folder, "waits", [[
    local conn = assert(ctx.tcp("127.0.0.1", params.port))
    assert(conn:send("hello\n"))
    return { answered = #assert(conn:line()) }
  ]])
  local agent = start(folder, assign("waits", { port = server.port }))
  local seen = watch(folder, agent)
  stop(agent, folder)
  server.close()
  local wanted = FUNCTIONS * seen.seconds / INTERVAL
  out:row("500 that wait 1 s, each 10 s", seen.runs, seen.missed + seen.errors, ("%.2f"):format(seen.uss),
    ("%.0f"):format(seen.supervisor_ms * 1e3 / seen.runs), ("%.0f"):format(seen.worker_ms * 1e3 / seen.runs))
  out:goal("500 waiting builtins: runs that were missing, late or failed, of a hundred", "%.1f",
    100 * (math.max(0, wanted - seen.runs - 25) + seen.missed + seen.errors) / wanted, 0)
  out:goal("500 waiting builtins: USS of the worker, MiB", "%.2f", seen.uss, 8)
  out:goal("500 waiting builtins: CPU of the supervisor, % of a core", "%.2f",
    seen.supervisor_ms / seen.seconds / 10, 1)
  out:goal("500 waiting builtins: longest stall of the loop, ms", "%.1f", seen.stall, 20)
end

local function trivial(out)
  local folder = builtin.folder()
  builtin.write(folder, "trivial", "return { x = 1 }")
  local agent = start(folder, assign("trivial"))
  local seen = watch(folder, agent)
  stop(agent, folder)
  out:row("500 that return a number", seen.runs, seen.missed + seen.errors, ("%.2f"):format(seen.uss),
    ("%.0f"):format(seen.supervisor_ms * 1e3 / seen.runs), ("%.0f"):format(seen.worker_ms * 1e3 / seen.runs))
  out:goal("a run of a trivial builtin: CPU of both processes with all else that they do, µs", "%.0f",
    (seen.supervisor_ms + seen.worker_ms) * 1e3 / seen.runs, 100)
end

-- The room alone, in this process, with 200 functions in use.
local function reload(out)
  local folder = builtin.folder()
  local records = {}
  local function write_all(version)
    for i = 1, FILES do builtin.write(folder, "f" .. i, "return { version = " .. version .. " }") end
  end
  write_all(0)
  for i = 1, FILES do records[i] = { type = "BUILTIN", ns = "bench.loda", name = "f" .. i, run = "f" .. i } end
  local room = require("agent.builtin").new({
    conf = require("agent.config").defaults(), run = require("agent.worker.client").run,
    namespaces = function() return {} end, now = require("host.clock").mono, after = require("agent.timer").after,
    log = builtin.log, directories = { folder .. "/builtin" }, outcome = {},
    scheduler = { remove = function() end, every = function() end },
  })
  room:apply(records)
  program.wait("the first load", 20, function() return room.known and not next(room.loading) end)
  room.settling = true -- no reload but ours
  local costs = {}
  for i = 1, RELOADS do
    write_all(i)
    local began, done = uv.hrtime(), nil
    room:reload(function(_, change)
      assert(#change.loaded == FILES, #change.loaded)
      done = true
    end)
    while not done or next(room.loading) do uv.run("once") end
    costs[i] = (uv.hrtime() - began) / 1e6
    out:sample("reload_ms", i, costs[i])
  end
  room.settling = nil
  room:close()
  program.remove(folder)
  out:goal("reload of 200 changed files, until the worker has them, ms", "%.1f", median(costs), 100)
end

return function(out)
  out:head("builtin functions", "runs", "missed or failed", "worker USS MiB", "supervisor µs/run", "worker µs/run")
  reload(out)
  waiting(out)
  trivial(out)
end
