-- All processes of one program, measured together: a cgroup counts the CPU of those that have ended,
-- too, in nanoseconds of the scheduler and not in ticks.

local program = require("program")
local uv = require("luv")

local M = {}
local Group = {}
Group.__index = Group

-- Where cgroup v2 is mounted, alone or beside v1; its cpu.stat needs no controller.
local function cgroup_root()
  for line in io.lines("/proc/mounts") do
    local path, kind = line:match("^%S+ (%S+) (%S+)")
    if kind == "cgroup2" then return path end
  end
end

local function writable_root()
  local root = cgroup_root()
  local probe = root and root .. "/agent-bench-probe-" .. uv.os_getpid()
  if not probe or not uv.fs_mkdir(probe, 493) then return nil end
  uv.fs_rmdir(probe)
  return root
end

--- A group named `name`; M.root is nil where cgroups can't be made, and descendants are followed instead.
function M.new(name)
  if M.root == nil then M.root = writable_root() or false end
  local self = setmetatable({ name = ("agent-bench-%d-%s"):format(uv.os_getpid(), name), known = {} }, Group)
  if M.root then
    self.path = M.root .. "/" .. self.name
    assert(uv.fs_mkdir(self.path, 493))
  end
  return self
end

--- Starts a program in the group; see program.spawn.
function Group:spawn(path, args)
  if not self.path then
    self.child = program.spawn(path, args)
    return self.child
  end
  self.child = program.spawn("/bin/sh",
    { "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.path, path, unpack(args) })
  return self.child
end

local function descendants(pid, found)
  found[#found + 1] = pid
  for child in (program.read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""):gmatch("%d+") do
    descendants(tonumber(child), found)
  end
  return found
end

function Group:pids()
  if not self.path then return descendants(self.child.pid, {}) end
  local pids = {}
  for pid in (program.read(self.path .. "/cgroup.procs") or ""):gmatch("%d+") do pids[#pids + 1] = tonumber(pid) end
  return pids
end

local function schedstat(pid)
  local sum = 0
  local tasks = uv.fs_scandir(("/proc/%d/task"):format(pid))
  while tasks do
    local task = uv.fs_scandir_next(tasks)
    if not task then break end
    local text = program.read(("/proc/%d/task/%s/schedstat"):format(pid, task))
    sum = sum + (tonumber(text and text:match("^%d+")) or 0)
  end
  return sum
end

--- CPU milliseconds used so far by all processes, ended ones included.
function Group:cpu_ms()
  if self.path then
    return tonumber(program.read(self.path .. "/cpu.stat"):match("usage_usec (%d+)")) / 1e3
  end
  for _, pid in ipairs(self:pids()) do self.known[pid] = math.max(schedstat(pid), self.known[pid] or 0) end
  local sum = 0
  for _, ns in pairs(self.known) do sum = sum + ns end
  return sum / 1e6
end

--- USS and RSS of all processes that live just now, in MiB (1024 KiB), and their number.
function Group:memory()
  local uss, rss, count = 0, 0, 0
  for _, pid in ipairs(self:pids()) do
    local text = program.read(("/proc/%d/smaps_rollup"):format(pid))
    local resident = text and text:match("Rss:%s+(%d+)")
    if resident then
      rss, count = rss + resident, count + 1
      uss = uss + text:match("Private_Clean:%s+(%d+)") + text:match("Private_Dirty:%s+(%d+)")
    end
  end
  return uss / 1024, rss / 1024, count
end

--- Ends all processes of the group and removes it.
function Group:close()
  if self.child then
    self.child.kill("sigterm")
    local ended = pcall(self.child.wait, 5)
    if not ended then self.child.kill("sigkill") end
  end
  for _, pid in ipairs(self.path and self:pids() or {}) do uv.kill(pid, "sigkill") end
  if self.path then
    program.wait("the end of " .. self.name, 10, function()
      uv.fs_rmdir(self.path .. "/agent") -- an agent's own, for its plugins
      return uv.fs_rmdir(self.path)
    end)
  end
end

local function perf_counts(groups, seconds)
  local events, names = {}, {}
  for i, group in ipairs(groups) do
    events[i], names[i] = "raw_syscalls:sys_enter", group.name
  end
  local perf = program.spawn("/usr/bin/perf", { "stat", "-x,", "-a", "-e", table.concat(events, ","),
    "-G", table.concat(names, ","), "--", "sleep", tostring(seconds) })
  perf.wait(seconds + 20)
  for _, group in ipairs(groups) do
    local count
    for line in perf.output:gmatch("[^\n]+") do
      if line:find("," .. group.name .. ",", 1, true) then count = tonumber(line:match("^%d+")) end
    end
    group.syscalls = count
  end
  return perf.code == 0
end

local function strace_counts(groups, seconds)
  local traces = {}
  for i, group in ipairs(groups) do
    local args = { "-f", "-qq", "-c", "-U", "calls,name" }
    for _, pid in ipairs(group:pids()) do
      args[#args + 1] = "-p"
      args[#args + 1] = tostring(pid)
    end
    traces[i] = program.spawn("/usr/bin/strace", args)
  end
  local began = uv.hrtime()
  program.wait("the window", seconds + 5, function() return uv.hrtime() - began > seconds * 1e9 end)
  for i, group in ipairs(groups) do
    traces[i].kill("sigint")
    pcall(traces[i].wait, 10)
    group.syscalls = tonumber(traces[i].output:match("(%d+)%s+total"))
  end
end

--- Counts the system calls of each group for so long: group.syscalls, nil where that can't be done here.
--- Returns how they were counted.
function M.count_syscalls(groups, seconds)
  if M.root and uv.fs_access("/usr/bin/perf", "X") and perf_counts(groups, seconds) then return "perf stat" end
  if uv.fs_access("/usr/bin/strace", "X") then
    strace_counts(groups, seconds)
    return "strace -c"
  end
  return "not counted: neither perf nor strace works here"
end

return M
