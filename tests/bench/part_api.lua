-- The control API under load: wrk with 1 thread and 10 connections, against Go's net/http answering the same bytes in
-- the same run; and what each costs its process in CPU.

local median = require("report").median
local program = require("program")

local ROUNDS, SECONDS, PLUGINS = 5, 4, 200

local function there(name) return os.execute("command -v " .. name .. " >/dev/null 2>&1") == 0 end

-- Milliseconds of CPU of a process, its threads included.
local function cpu(pid)
  local stat = program.read(("/proc/%d/stat"):format(pid)):match("^.*%) (.*)$")
  local fields = {}
  for field in stat:gmatch("%S+") do fields[#fields + 1] = tonumber(field) or 0 end
  return (fields[12] + fields[13]) * 10 -- utime and stime, in ticks of 10 ms
end

-- Requests a second, and microseconds of the server's CPU for each.
local function load(url, pid)
  local before = cpu(pid)
  local child = program.spawn("/usr/bin/wrk", { "-t1", "-c10", "-d" .. SECONDS, url })
  assert(child.wait(60) == 0, child.output)
  local requests = tonumber(child.output:match("(%d+) requests in"))
  return tonumber(child.output:match("Requests/sec: +([%d.]+)")), (cpu(pid) - before) * 1000 / requests,
    child.output:match("Non%-2xx[^\n]*")
end

local function build_go(folder)
  for _, go in ipairs({ "go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go" }) do
    if there(go) then
      local build = program.spawn("/bin/sh", { "-c", ("cd tests/tools/go_http && GOPROXY=off %s build -o %s/go_http .")
        :format(go, folder) })
      assert(build.wait(180) == 0, build.output)
      return folder .. "/go_http"
    end
  end
end

local function registry()
  local items = {}
  for i = 1, PLUGINS do
    items[i] = { measurement_type = "PLUGIN", name = "PLUGIN.p" .. i, interval = 3600,
      git = ("git@127.0.0.1:ops/p%d.git"):format(i) }
  end
  return { ["bench.loda"] = items }
end

local function measure(out, what, url, pid)
  local rates, costs = {}, {}
  for round = 1, ROUNDS do
    local bad
    rates[round], costs[round], bad = load(url, pid)
    assert(not bad, bad)
    out:sample("api", what, round, rates[round], costs[round])
  end
  local rate, cost = median(rates), median(costs)
  out:row(what, ("%.0f"):format(rate), ("%.1f"):format(cost))
  return rate
end

return function(out, options)
  local folder = options.folder .. "/api"
  require("luv").fs_mkdir(folder, 493)
  if not there("wrk") then return out:goal("control API: wrk is not here", "%.2f", nil, 0) end
  local agent = program.agent({ "start", "-f", program.configure(folder, { log = { loglevel = "INFO" } }, registry()) })
  program.ready(folder, agent)
  local status = program.curl(folder, "/me/status")
  program.write(folder .. "/status", status)
  local function all_there()
    local _, lines = program.curl(folder, "/plugins/list"):gsub("\n", "")
    return lines == PLUGINS
  end
  program.wait("the plugins", 20, all_there)
  local port = agent.output:match("127%.0%.0%.1:(%d+)")
  local url = "http://127.0.0.1:" .. port
  out:head("control API, wrk -t1 -c10", "requests/s", "CPU of the server, µs each")
  local ours = measure(out, "/me/status, agent", url .. "/me/status", agent.pid)
  local list = measure(out, ("/plugins/list, %d plugins, agent"):format(PLUGINS), url .. "/plugins/list", agent.pid)
  local path = build_go(folder)
  local theirs
  if path then
    local go = program.spawn(path, { folder .. "/status" })
    program.wait("Go's server", 20, function() return go.stdout:find("\n") end)
    local other = "http://127.0.0.1:" .. go.stdout:match("%d+")
    theirs = measure(out, "the bytes of /me/status, Go's net/http", other, go.pid)
    go.kill()
    go.wait(10)
  end
  agent.kill("sigterm")
  agent.wait(20)
  out:goal("Go's net/http / agent, requests a second", "%.2f", theirs and theirs / ours, 1 / 1.8)
  out:goal("/plugins/list, µs a request", "%.1f", 1e6 / list, 50)
end
