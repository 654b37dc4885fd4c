-- Loaded by busted before a suite (tests/specs.lua): what the suite started must be gone at its end, daemons
-- included, and no descriptor may be open that was not before.

local busted = require("busted")
local ffi = require("ffi")
local uv = require("luv")

ffi.cdef("int waitpid(int pid, int *status, int options);")

local SECONDS, WNOHANG = 10, 1

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end

local function write(path, text)
  local file = io.open(path, "w")
  return file ~= nil and file:write(text) ~= nil and file:close() == true
end

-- The cgroup of version 2 that we are in, and one of our own below it: whatever we start is there, wherever else
-- it flees to. nil where there is none that we may write to.
local function enter_group()
  local mount = read("/proc/self/mountinfo"):match("/ (/%S+) [^\n]- %- cgroup2 ")
  local path = read("/proc/self/cgroup"):match("0::(/[^\n]*)")
  if not mount or not path then return nil end
  local above = (mount .. path):gsub("/$", "")
  local group = ("%s/agent-suite-%d"):format(above, uv.os_getpid())
  if not uv.fs_mkdir(group, 493) or not write(group .. "/cgroup.procs", "0") then return nil end
  return group, above
end

-- Directories below, the deepest first, and the group itself.
local function each_group(group, visit)
  local scan = uv.fs_scandir(group)
  for name, kind in function() return uv.fs_scandir_next(scan) end do
    if kind == "directory" then each_group(group .. "/" .. name, visit) end
  end
  visit(group)
end

-- Pids that are in there beside us, and their command lines.
local function strangers(group)
  local found, ours = {}, tostring(uv.os_getpid())
  each_group(group, function(path)
    for pid in read(path .. "/cgroup.procs"):gmatch("%d+") do
      if pid ~= ours then found[#found + 1] = pid .. " " .. read("/proc/" .. pid .. "/cmdline"):gsub("%z", " ") end
    end
  end)
  return found
end

local function descriptors()
  local open, scan = {}, uv.fs_scandir("/proc/self/fd")
  for name in function() return uv.fs_scandir_next(scan) end do
    open[name] = uv.fs_readlink("/proc/self/fd/" .. name)
  end
  return open
end

-- The loop keeps its one inotify descriptor for good, and luv the terminal.
local function of_loop(target)
  return target == "anon_inode:inotify" or target:find("^/dev/") ~= nil
end

local before, group, above

local function leaks()
  local list = {}
  for name, target in pairs(descriptors()) do
    if not before[name] and not of_loop(target) then list[#list + 1] = name .. " " .. target end
  end
  return list
end

local function settle(look)
  local deadline = uv.hrtime() + SECONDS * 1e9
  while true do
    collectgarbage()
    uv.run("nowait")
    local left = look()
    if not left[1] or uv.hrtime() > deadline then return left end
    uv.sleep(20)
  end
end

local function say(what, left)
  local ok = not left[1]
  print((ok and "ok" or "not ok") .. " - the suite left no " .. what)
  for _, one in ipairs(left) do print("# " .. one) end
end

busted.subscribe({ "suite", "start" }, function()
  group, above = enter_group()
  before = descriptors()
  return nil, true
end)

-- host.exec makes this process the parent of orphans, also of those that programs started by libuv left, which nobody
-- else waits for: the next file shall not find them.
busted.subscribe({ "file", "end" }, function()
  for _ = 1, 10 do uv.run("nowait") end
  while ffi.C.waitpid(-1, nil, WNOHANG) > 0 do end
  return nil, true
end)

busted.subscribe({ "suite", "end" }, function()
  if group then
    say("process", settle(function() return strangers(group) end))
    write(above .. "/cgroup.procs", "0")
    each_group(group, uv.fs_rmdir)
  else
    print("ok - the suite left no process # SKIP no cgroup of version 2 that we may write to")
  end
  say("descriptor", settle(leaks))
  return nil, true
end)
