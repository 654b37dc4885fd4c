-- A worker "mounts", a timer and a log that a spec drives: each mount behaves as told.
local M = {}

local readers = {}

--- A healthy file system's answer.
function M.usage(more)
  local usage = { frsize = 4096, blocks = 262144, bfree = 131072, bavail = 65536, files = 1000, ffree = 499,
    rw = 1 }
  for key, value in pairs(more or {}) do usage[key] = value end
  return usage
end

--- behaviour[path]: an answer (default usage()), or "hangs" (KILL ends it), "stuck" (KILL doesn't, until
--- fake.gone()), "crashes". Returns a fake: worker, log, after, runs = list of lists of paths probed,
--- written = set of paths to be written to, logged = list of lines, gone().
function M.new(behaviour)
  local fake = { behaviour = behaviour or {}, runs = {}, written = {}, logged = {}, lingering = {} }
  local timers = {}

  function fake.after(_, fn)
    local timer = { fn = fn }
    function timer.cancel(self) self.fn = nil end
    timers[#timers + 1] = timer
    return timer
  end

  -- Time passes: the deadlines that nobody took back come.
  local function deadlines()
    local due = timers
    timers = {}
    for _, timer in ipairs(due) do
      if timer.fn then timer.fn() end
    end
  end

  local function ended_by_kill(mode, options, callback)
    if mode == "stuck" then
      callback({ code = "timeout", message = "stuck", stuck = true })
      fake.lingering[#fake.lingering + 1] = options.on_gone
    else
      callback({ code = "crashed", message = "killed" })
    end
  end

  fake.worker = {}
  function fake.worker.run(name, mounts, options, callback)
    assert(name == "mounts")
    local probed, mode = {}, nil
    fake.runs[#fake.runs + 1] = probed
    local handle = { kill = function() ended_by_kill(mode, options, callback) end }
    fake.queue = fake.queue or {}
    table.insert(fake.queue, function()
      for i, mount in ipairs(mounts) do
        probed[i], mode = mount.path, fake.behaviour[mount.path]
        if mount.write then fake.written[mount.path] = true end
        options.on_item({ i })
        if mode == "hangs" or mode == "stuck" then return deadlines() end
        if mode == "crashes" then return callback({ code = "crashed", message = "worker mounts: crashed" }) end
        options.on_item({ i, mode or M.usage() })
      end
      callback(nil, nil)
    end)
    return handle
  end

  --- Lets the workers work until none is left to.
  function fake.work()
    while fake.queue and fake.queue[1] do table.remove(fake.queue, 1)() end
  end

  --- The processes that hung in the kernel end.
  function fake.gone()
    local callbacks = fake.lingering
    fake.lingering = {}
    for _, callback in ipairs(callbacks) do callback() end
  end

  local function record(_, message, fields)
    fake.logged[#fake.logged + 1] = message .. (fields and fields.mount and " " .. fields.mount or "")
  end
  fake.log = { info = record, warning = record, error = record }
  return fake
end

--- Closes the readers of all collectors so far.
function M.close()
  for _, reader in ipairs(readers) do reader:close() end
  readers = {}
end

--- A collector FS over tests/fixtures/KERNEL (or over `mounts`, lines of a mount table, in a temporary
--- directory) and the fake; returns it, and a function that removes the directory.
function M.collector(fake, options)
  local proc, remove = "tests/fixtures/" .. (options.kernel or "linux-6.1") .. "/proc", function() end
  local procfs = require("host.procfs").open({ procfs = proc })
  readers[#readers + 1] = procfs
  if options.mounts then
    proc = assert(require("luv").fs_mkdtemp("/tmp/agent-mounts-XXXXXX"))
    os.execute(("mkdir -p %s/1"):format(proc))
    for _, name in ipairs({ "/mounts", "/1/mounts" }) do
      local file = assert(io.open(proc .. name, "w"))
      file:write(options.mounts)
      file:close()
    end
    remove = function() os.execute("rm -rf " .. proc) end
  end
  local env = { procfs = procfs, worker = fake.worker, log = fake.log, after = fake.after,
    conf = { procfs = proc, rootfs = options.rootfs or "/" } }
  return require("agent.collect.fs").new(env), remove
end

--- One run; returns metrics, err.
function M.run(collector, fake)
  local metrics, err, calls = nil, nil, 0
  collector.run(function(m, e)
    metrics, err, calls = m, e, calls + 1
  end)
  fake.work()
  assert(calls == 1, "done was called " .. calls .. " times")
  return metrics, err
end

return M
