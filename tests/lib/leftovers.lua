-- Loaded by busted before a suite (tests/specs.lua): what the suite started must be gone at its end, daemons
-- included, and no descriptor may be open that was not before.

local busted = require("busted")
local ffi = require("ffi")
local uv = require("luv")

ffi.cdef([[
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int waitpid(int pid, int *status, int options);
]])

local PR_SET_CHILD_SUBREAPER, WNOHANG = 36, 1
local SECONDS = 10

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end

-- Pids of our children, orphans that fell to us among them, and their command lines.
local function children()
  while ffi.C.waitpid(-1, nil, WNOHANG) > 0 do end
  local found, pid = {}, uv.os_getpid()
  for child in read(("/proc/%d/task/%d/children"):format(pid, pid)):gmatch("%d+") do
    found[#found + 1] = child .. " " .. read("/proc/" .. child .. "/cmdline"):gsub("%z", " ")
  end
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

local before

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
  ffi.C.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  before = descriptors()
  return nil, true
end)

busted.subscribe({ "suite", "end" }, function()
  say("process", settle(children))
  say("descriptor", settle(leaks))
  return nil, true
end)
