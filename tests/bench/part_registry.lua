-- 20 namespaces with 500 items each from a registry over HTTP: what the first answer costs the loop, and
-- what an update that changes nothing costs the supervisor.

local cjson = require("cjson")
local median = require("report").median
local program = require("program")
local registry = require("registry_server")
local uv = require("luv")

local NAMESPACES, ITEMS, UPDATES = 20, 500, 15

local function items_of(ns)
  local items = {}
  for i = 1, ITEMS do
    items[i] = { _id = ("%08d"):format(i), name = ("PROC.p%d-%d"):format(ns, i), measurement_type = "PROC",
      bin_path = ("/opt/service%d/bin/p%d"):format(ns, i), interval = "3600", comment = "" }
  end
  return items
end

-- CPU that a process has used, in milliseconds; its children are not in it.
local function cpu_ms(pid)
  local total = 0
  local dir = uv.fs_scandir(("/proc/%d/task"):format(pid))
  for task in function() return uv.fs_scandir_next(dir) end do
    local text = program.read(("/proc/%d/task/%s/schedstat"):format(pid, task))
    total = total + (text and tonumber(text:match("%d+")) or 0)
  end
  return total / 1e6
end

local function status(folder)
  return cjson.decode((program.curl(folder, "/me/status")))
end

return function(out, options)
  local namespaces = {}
  for ns = 1, NAMESPACES do namespaces[("ns%d.bench.loda"):format(ns)] = items_of(ns) end
  local server = registry.start(namespaces)
  local folder = options.folder .. "/registry"
  uv.fs_mkdir(folder, 493)
  local path = program.configure(folder, { agent = { registryaddr = server.address }, log = { loglevel = "INFO" } })
  local agent = program.spawn(os.getenv("AGENT"), { "start", "-f", path })
  program.ready(folder, agent)
  program.wait("all items", 30, function() return status(folder).registry.items == NAMESPACES * ITEMS end)
  out:goal("first answer of 20 × 500 items: longest stall of the loop, ms", "%.1f", status(folder).stall_ms, 20)
  local costs = {}
  for i = 1, UPDATES do
    local before = cpu_ms(agent.pid)
    program.curl(folder, "/update")
    costs[i] = cpu_ms(agent.pid) - before
    out:sample("update_cpu_ms", i, costs[i])
  end
  out:goal("update that changes nothing, 20 × 500 items: CPU of the supervisor, ms", "%.2f", median(costs), 5)
  agent.kill("sigterm")
  agent.wait(10)
  server:close()
end
