-- builtin/cgroup.lua with the kernel's own hierarchy: a group of the test's with a process that is busy.

local command = require("builtin_command")
local program = require("program")
local shipped = require("shipped")
local uv = require("luv")

describe("builtin cgroup", function()
  local root, group, busy

  before_each(function()
    root = shipped.load("cgroup").parsers.root(program.read("/proc/self/mountinfo"))
    group = root and ("%s/agent-test-%d"):format(root, uv.os_getpid())
    if group and not uv.fs_mkdir(group, 493) then group = nil end
  end)
  after_each(function()
    if busy then
      busy.kill()
      busy.wait()
    end
    busy = nil
    if group then program.wait("the end of the group", 10, function() return uv.fs_rmdir(group) end) end
  end)

  it("tells what a busy group uses", function()
    if not group then return pending("builtin cgroup: no writable hierarchy of version 2 here") end
    busy = program.spawn("/bin/sh", { "-c", "echo $$ > \"$0\"; while :; do :; done", group .. "/cgroup.procs" })
    local name = group:match("[^/]+$")
    local tags = ("{cgroup=%s}"):format(name)
    program.wait("the process to be in the group", 10, function()
      return (program.read(group .. "/cgroup.procs") or ""):find("%d")
    end)
    local values = command.good("cgroup", { paths = name:sub(1, -2) .. "?" }, { times = 3 })
    assert.equal(1, values.groups)
    local used = values["cpu.used" .. tags]
    assert.is_true(used > 1 and used < 150, tostring(used))
    if uv.fs_stat(group .. "/cpu.pressure") then assert.is_true(values["pressure.cpu.some" .. tags] >= 0) end
    if uv.fs_stat(group .. "/memory.current") then assert.is_true(values["memory.used" .. tags] > 0) end
  end)
end)
