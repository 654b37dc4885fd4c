-- Control groups of version 2: CPU, memory, I/O, tasks and pressure of slices, services and containers.

local MOST, LOOKED_AT = 200, 5000

-- Where the hierarchy is mounted; spaces and the like are written as \040.
local function root_in(mountinfo)
  for line in mountinfo:gmatch("[^\n]+") do
    local below, path, kind = line:match("^%d+ %d+ %S+ (%S+) (%S+) .- %- (%S+)")
    if kind == "cgroup2" and below then
      return (path:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8) % 256) end))
    end
  end
end

-- "name value" lines.
local function pairs_in(text)
  local found = {}
  for name, value in (text or ""):gmatch("([%w_.]+) (%d+)") do found[name] = tonumber(value) end
  return found
end

local function number(text)
  return text and tonumber(text:match("^(%d+)%s*$"))
end

-- io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …" a device; summed.
local function io_in(text)
  local sums
  for line in (text or ""):gmatch("[^\n]+") do
    if line:find("^%d+:%d+ ") then
      sums = sums or { rbytes = 0, wbytes = 0, rios = 0, wios = 0 }
      for name, value in line:gmatch("(%l+)=(%d+)") do
        if sums[name] then sums[name] = sums[name] + tonumber(value) end
      end
    end
  end
  return sums
end

-- "some avg10=… total=5": microseconds that were lost so far.
local function pressure_in(text)
  local found = {}
  for kind, total in (text or ""):gmatch("(%l+) avg10=[%d.]+ avg60=[%d.]+ avg300=[%d.]+ total=(%d+)") do
    found[kind] = tonumber(total)
  end
  return found
end

local function wildcard(part)
  return "^(?s:" .. part:gsub("[][^$.|?*+(){}\\]", function(c)
    if c == "*" then return ".*" elseif c == "?" then return "." end
    return "\\" .. c
  end) .. ")$"
end

local function directories_in(ctx, path)
  local found = {}
  for _, name in ipairs(ctx.list(path) or {}) do
    -- The files of a group have a dot and a known first part; groups have too, so the kernel is asked.
    if not name:find("^cgroup%.") and not name:find("^memory%.%l") and not name:find("^cpuset%.%l")
      and not name:find("^cpu%.%l") and not name:find("^io%.%l") and not name:find("^pids%.%l") then
      local stat = ctx.stat(path .. "/" .. name)
      if stat and stat.type == "directory" then found[#found + 1] = name end
    end
  end
  return found
end

local function matching(job, path, part)
  if not part:find("[*?]") then
    local stat = job.ctx.stat(path .. "/" .. part)
    return stat and stat.type == "directory" and { part } or {}
  end
  local match = assert(job.ctx.regex(wildcard(part)))
  local found = {}
  for _, name in ipairs(directories_in(job.ctx, path)) do
    job.looked = job.looked + 1
    if job.looked > LOOKED_AT then error(("more than %d groups to look at"):format(LOOKED_AT), 0) end
    if match:test(name) then found[#found + 1] = name end
  end
  return found
end

local function add_group(job, group)
  if job.seen[group] then return end
  if #job.groups == job.most then
    job.left_out = job.left_out + 1
    return
  end
  job.seen[group] = true
  job.groups[#job.groups + 1] = group
end

-- Those that a path names, relative to the root, and what is in them down to `depth`.
local function find(job, path, depth)
  local list = { "" }
  for part in path:gmatch("[^/]+") do
    local longer = {}
    for _, group in ipairs(list) do
      for _, name in ipairs(matching(job, job.root .. group, part)) do longer[#longer + 1] = group .. "/" .. name end
    end
    list = longer
  end
  for _, group in ipairs(list) do
    add_group(job, group)
    if depth > 0 then find(job, group:gsub("[*?]", "?") .. "/*", depth - 1) end
  end
end

local function add_cpu(add, rate, read)
  local cpu = pairs_in(read("cpu.stat"))
  local function percent(name, key)
    local per_second = cpu[key] and rate(key, cpu[key])
    add(name, per_second and per_second / 1e4)
  end
  percent("cpu.used", "usage_usec")
  percent("cpu.user", "user_usec")
  percent("cpu.system", "system_usec")
  percent("cpu.throttled", "throttled_usec")
end

local function add_memory(add, read)
  local current, most = number(read("memory.current")), number(read("memory.max"))
  if not current then return end
  local parts, events = pairs_in(read("memory.stat")), pairs_in(read("memory.events"))
  add("memory.used", current)
  add("memory.max", most)
  add("memory.used.percent", most and most > 0 and 100 * current / most)
  add("memory.swap", number(read("memory.swap.current")))
  add("memory.anon", parts.anon)
  add("memory.file", parts.file)
  add("memory.oom_kills", events.oom_kill)
end

local function add_io(add, rate, read)
  local io = io_in(read("io.stat"))
  if not io then return end
  add("io.read", rate("rbytes", io.rbytes))
  add("io.write", rate("wbytes", io.wbytes))
  add("io.reads", rate("rios", io.rios))
  add("io.writes", rate("wios", io.wios))
end

local function add_pressure(add, rate, read)
  for _, what in ipairs({ "cpu", "memory", "io" }) do
    for kind, total in pairs(pressure_in(read(what .. ".pressure"))) do
      local per_second = rate(what .. kind, total)
      add(("pressure.%s.%s"):format(what, kind), per_second and per_second / 1e4)
    end
  end
end

local function measure(job, group, list)
  local ctx = job.ctx
  local tags = { cgroup = group == "" and "/" or group:sub(2) }
  local function read(file) return (ctx.read_file(job.root .. group .. "/" .. file, 65536)) end
  local function rate(key, counter) return ctx.rate(group .. " " .. key, counter) end
  local function add(name, value)
    if value then list[#list + 1] = { name = name, value = value, tags = tags } end
  end
  add_cpu(add, rate, read)
  add_memory(add, read)
  add_io(add, rate, read)
  add_pressure(add, rate, read)
  add("tasks", number(read("pids.current")))
end

local function root_of(params, ctx)
  if params.root then
    if params.root:sub(1, 1) ~= "/" then return nil, ("root: %q is no absolute path"):format(params.root) end
    return (params.root:gsub("/+$", ""))
  end
  local text, why = ctx.read_file("/proc/self/mountinfo")
  if not text then return nil, why end
  local root = root_in(text)
  if not root then return nil, "cgroup: no hierarchy of version 2 is mounted here" end
  return root
end

local function run(params, ctx)
  local root, why = root_of(params, ctx)
  if not root then return nil, why end
  if params.depth < 0 or params.depth > 5 then return nil, ("depth: %g is not 0 to 5"):format(params.depth) end
  local job = { ctx = ctx, root = root, groups = {}, seen = {}, looked = 0, left_out = 0,
    most = math.min(MOST, params.most) }
  for _, path in ipairs(params.paths) do
    if type(path) ~= "string" or ("/" .. path .. "/"):find("/%.%.?/") then
      return nil, ("paths: %q is no path below the root"):format(tostring(path))
    end
    find(job, path, params.depth)
  end
  if job.left_out > 0 and not ctx.state.told then
    ctx.log("warning", ("%d groups are left out: more than %d"):format(job.left_out, job.most))
  end
  ctx.state.told = job.left_out > 0 or nil
  local list = { groups = #job.groups }
  for _, group in ipairs(job.groups) do measure(job, group, list) end
  return list
end

return {
  description = "control groups (v2): CPU, memory, I/O, tasks, pressure of slices, services, containers",
  params = {
    paths = { type = "list", default = { "*.slice", "system.slice/*.service" },
      description = "groups below the root, such as system.slice/docker-*.scope; * and ? in any part; / is the root" },
    depth = { type = "number", default = 0, description = "also what is in those, so many levels down" },
    most = { type = "number", default = 100, description = "groups at most (200)" },
    root = { type = "string", description = "where the hierarchy is; else as /proc/self/mountinfo says" },
  },
  interval = 10,
  run = run,
  parsers = { root = root_in, pairs = pairs_in, io = io_in, pressure = pressure_in },
}
