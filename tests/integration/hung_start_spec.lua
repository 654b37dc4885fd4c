-- Programs that can't be started because a file system does not answer.
local exec = require("host.exec")
local host = require("host")
local silent_fs = require("silent_fs")
local uv = require("luv")
local wait = require("wait")

local THREADS = 4 -- STARTER_THREADS of src/exec/starter.h

local function children()
  local found, dir = {}, assert(uv.fs_scandir("/proc/self/task"))
  for task in function() return uv.fs_scandir_next(dir) end do
    local file = assert(io.open(("/proc/self/task/%s/children"):format(task)))
    for pid in file:read("*a"):gmatch("%d+") do found[#found + 1] = pid end
    file:close()
  end
  return found
end

local function open_files()
  local n, dir = 0, uv.fs_scandir("/proc/self/fd")
  while uv.fs_scandir_next(dir) do n = n + 1 end
  return n
end

describe("a start that hangs", function()
  local silent, why, before

  local function start(options)
    local run = {}
    options.argv = options.argv or { "/bin/true" }
    options.on_gone = function() run.gone = true end
    run.handle = assert(exec.run(options, function(result) run.result = result end))
    return run
  end

  local function ended(run) return function() return run.result end end

  before_each(function()
    silent, why = silent_fs.mount()
    wait.until_true(ended(start({}))) -- until then the thread that started the file system may have its pipes open
    before = open_files()
  end)
  after_each(function()
    if silent then silent_fs.unmount(silent) end
    wait.until_true(function() return #children() == 0 end)
  end)

  it("leaves the loop and all other runs alone, is stuck at its deadline, and leaves nothing", function()
    if not silent then return pending(why) end
    host.take_stall()
    local dir = silent.dir .. "/hangs"
    local cwd = start({ cwd = dir, deadline_ms = 300, grace_ms = 100 })
    local path = start({ argv = { dir .. "/program" }, deadline_ms = 300, grace_ms = 100 })
    local other = start({ argv = { "/bin/echo", "alive" } })
    wait.until_true(ended(other))
    assert.equal("alive\n", other.result.stdout)
    assert.is_nil(cwd.result)
    wait.until_true(function() return cwd.result and path.result end)
    for _, run in ipairs({ cwd, path }) do
      assert.is_true(run.result.stuck and run.result.timed_out)
      assert.is_nil(run.gone)
    end
    wait.until_true(ended(start({})))
    assert.is_true(host.take_stall() < 50)
    silent_fs.answer(silent)
    wait.until_true(function() return cwd.gone and path.gone end)
    wait.until_true(function() return open_files() == before end)
    assert.equal(1, #children()) -- the file system itself
  end)

  it("that an orphan hangs in keeps it alive, but no other orphan, dead or alive", function()
    if not silent then return pending(why) end
    local script = ("setsid cat %s/hangs/file >/dev/null 2>&1 & echo $!; until grep -q hangs %s; do sleep 0.01; done")
      :format(silent.dir, silent.requests)
    local first = start({ argv = { "/bin/sh", "-c", script } })
    wait.until_true(ended(first))
    local stuck = first.result.stdout:match("%d+")
    for _ = 1, 5 do
      wait.until_true(ended(start({ argv = { "/bin/sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & sleep 0.02" } })))
    end
    wait.until_true(function() return #children() == 2 end) -- it and the file system
    assert.is_truthy(table.concat(children(), " "):find(stuck, 1, true))
    silent_fs.answer(silent)
    wait.until_true(function() return #children() == 1 end)
  end)

  it("is refused when every thread hangs, until one comes back", function()
    if not silent then return pending(why) end
    local hanging = {}
    for i = 1, THREADS do
      hanging[i] = start({ cwd = silent.dir .. "/hangs", deadline_ms = 1000, grace_ms = 10 })
    end
    wait.until_true(function() return #children() == THREADS + 1 end)
    local waiting = start({ deadline_ms = 100 })
    wait.until_true(ended(waiting))
    assert.is_true(waiting.result.timed_out)
    assert.same({ code = "ETIMEDOUT", step = "start", message = "start: its turn did not come in time" },
      waiting.result.error)
    local killed = start({})
    killed.handle:kill("KILL")
    assert.is_nil(killed.result)
    wait.until_true(ended(killed))
    assert.equal(9, killed.result.signal)
    local refused = wait.until_true(function()
      local handle, message, code = exec.run({ argv = { "/bin/true" }, deadline_ms = 100 }, function() end)
      return not handle and { message, code }
    end, 20000)
    assert.same({ "cannot start /bin/true: start: Resource temporarily unavailable", "EAGAIN" }, refused)
    silent_fs.answer(silent)
    wait.until_true(function()
      for _, run in ipairs(hanging) do if not run.gone then return false end end
      return true
    end)
    local later = start({})
    wait.until_true(ended(later))
    assert.equal(0, later.result.code)
    wait.until_true(function() return open_files() == before end)
  end)
end)
