-- A throw-away tree that looks like /proc to the walk over processes.

local collect_env = require("collect_env")
local uv = require("luv")

local M = {}

local STAT = "%d (%s) %s 1 2 3 0 -1 4194560 5 6 7 8 %d %d 0 0 20 0 1 0 %d 1000000 %d 18446744073709551615 1 1 0 0\n"
local IO = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 9\n"

--- Returns { root, cpu(ticks), add(pid, process), gone(pid), env(conf), remove() }.
--- process: exe, name, state, utime, stime, start, pages, read, written, fds; add() again changes it.
function M.new()
  local fake = { root = collect_env.tempdir() }

  function fake.cpu(ticks)
    local columns = ticks .. " 0 0 0 0 0 0 0 77 0\n"
    collect_env.write(fake.root .. "/stat", "cpu  " .. columns .. "cpu0 " .. columns)
  end

  function fake.gone(pid)
    collect_env.remove(("%s/%d"):format(fake.root, pid))
  end

  function fake.add(pid, p)
    fake.gone(pid)
    local dir = ("%s/%d"):format(fake.root, pid)
    assert(uv.fs_mkdir(dir, 448))
    if p.exe then assert(uv.fs_symlink(p.exe, dir .. "/exe")) end
    collect_env.write(dir .. "/stat", p.stat or STAT:format(pid, p.name or "x", p.state or "S", p.utime or 0,
      p.stime or 0, p.start or 100, p.pages or 10))
    if p.read ~= false then collect_env.write(dir .. "/io", IO:format(p.read or 0, p.written or 0)) end
    if p.cmdline then collect_env.write(dir .. "/cmdline", p.cmdline) end
    assert(uv.fs_mkdir(dir .. "/fd", 448))
    for fd = 0, (p.fds or 3) - 1 do collect_env.write(("%s/fd/%d"):format(dir, fd), "") end
  end

  --- A collector's env on this tree; env.at(seconds) winds its monotonic clock.
  function fake.env()
    local env = collect_env.new({ procfs = fake.root })
    local now = 1000
    env.clock.mono = function() return now end
    env.at = function(seconds) now = seconds end
    env.procfs = assert(require("host.procfs").open({ procfs = fake.root }))
    env.worker = require("agent.worker.client")
    return env
  end

  function fake.remove() collect_env.remove(fake.root) end

  fake.cpu(0)
  return fake
end

return M
