-- Group FS beside a file system that never answers, with real workers.
local flat = require("kernels").flat
local silent_fs = require("silent_fs")
local uv = require("luv")
local wait = require("wait")

local function parent(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return tonumber(text:match("^.*%) %a (%d+)"))
end

-- Which children of ours are workers that examine mounts.
local function workers()
  local found = {}
  local dir = uv.fs_scandir("/proc")
  for pid in function() return uv.fs_scandir_next(dir) end do
    local file = pid:find("^%d+$") and io.open("/proc/" .. pid .. "/cmdline")
    if file then
      local ours = parent(pid) == uv.os_getpid()
      if ours and (file:read("*a") or "") == "agent\0worker\0mounts\0" then found[#found + 1] = pid end
      file:close()
    end
  end
  return found
end

describe("a file system that never answers", function()
  local silent, why, collector, healthy

  setup(function()
    silent, why = silent_fs.mount()
    if silent then
      healthy = silent_fs.mount()
      silent_fs.answer(healthy)
    end
  end)
  teardown(function()
    if collector then collector.close() end
    if healthy then silent_fs.unmount(healthy) end
    if silent then silent_fs.unmount(silent) end
  end)

  local function run()
    local values, err, done
    collector.run(function(metrics, e) done, values, err = true, flat(metrics), e end)
    wait.until_true(function() return done end, 10000)
    assert.is_nil(err)
    return values
  end

  local function tagged(name, mount) return name .. " mount=" .. mount end

  it("is reported as stuck while all others are measured, is left alone, and comes back", function()
    if not silent then return pending(why) end
    local lines = {}
    local function log(_, message, fields) lines[#lines + 1] = message .. " " .. tostring(fields.mount) end
    local stuck -- what the client says of the worker that not even KILL ended
    local client = { run = function(name, request, options, callback)
      return require("agent.worker.client").run(name, request, options, function(err, result)
        stuck = stuck or err and err.stuck
        callback(err, result)
      end)
    end }
    local procfs = require("host.procfs").open()
    collector = require("agent.collect.fs").new({
      procfs = procfs,
      conf = { procfs = "/proc", rootfs = "/", mountdeadline = 1 },
      worker = client,
      log = { info = log, warning = log },
    })
    local began = uv.hrtime()
    local values = run()
    assert.is_true((uv.hrtime() - began) / 1e9 < 8)
    assert.equal(1, values[tagged("fs.stuck", silent.dir)])
    assert.is_nil(values[tagged("fs.space.total", silent.dir)])
    for key, value in pairs(values) do
      if key:find("^fs%.stuck") and not key:find(silent.dir, 1, true) then assert.equal(0, value, key) end
    end
    assert.equal(1, values[tagged("fs.space.total", healthy.dir)])
    assert.same({ "file system does not answer " .. silent.dir }, lines)

    -- Not even KILL ends it; so one process hangs, and no second one joins it.
    wait.until_true(function() return stuck end)
    local hanging = workers()
    assert.equal(1, #hanging)
    values = run()
    assert.equal(1, values[tagged("fs.stuck", silent.dir)])
    assert.same(hanging, workers())

    silent_fs.answer(silent)
    wait.until_true(function() return #workers() == 0 and #lines == 2 end)
    values = run()
    assert.equal(0, values[tagged("fs.stuck", silent.dir)])
    assert.equal(1, values[tagged("fs.space.total", silent.dir)])
    assert.equal(1, values[tagged("fs.files.rw", silent.dir)])
    procfs:close()
  end)
end)
