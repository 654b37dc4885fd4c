local fake_proc = require("fake_proc")
local proc = require("agent.collect.proc")
local wait = require("wait")

local page = tonumber(io.popen("getconf PAGESIZE"):read("*a"))

local function item(name, path, more)
  local made = { type = "PROC", ns = "a.loda", name = name, path = path, interval = 60 }
  for key, value in pairs(more or {}) do made[key] = value end
  return made
end

-- "ns name" → value of one run, and err.
local function run(collector, items)
  local results, err, calls = nil, nil, 0
  collector.run(items, function(found, why)
    results, err, calls = found, why, calls + 1
  end)
  wait.until_true(function() return results end)
  assert(calls == 1)
  local flat, seen = {}, {}
  for _, result in ipairs(results) do
    assert(not seen[result.ns], "two entries for one namespace")
    seen[result.ns] = true
    for _, metric in ipairs(result.metrics) do flat[result.ns .. " " .. metric.name] = metric.value end
  end
  return flat, err
end

describe("collector PROC", function()
  local fake, env, collector
  before_each(function()
    fake = fake_proc.new()
    env = fake.env()
    collector = proc.new(env)
  end)
  after_each(function()
    collector.close()
    env.procfs:close()
    fake.remove()
  end)

  local x = { item("PROC.x", "/usr/bin/x") }

  -- Two runs, `seconds` apart, with `ticks` on all cores between; what the second one gives.
  local function second_run(change, seconds, ticks, items)
    run(collector, items or x)
    env.at(1000 + (seconds or 60))
    fake.cpu(ticks or 10000)
    change()
    return run(collector, items or x)
  end

  it("sums what all processes with the executable use, names with blanks and parentheses included", function()
    fake.add(10, { exe = "/usr/bin/x", name = "a) R (b c", pages = 100, fds = 4, utime = 5, stime = 5, read = 1 })
    fake.add(11, { exe = "/usr/bin/x", name = ")", pages = 50, fds = 0 })
    fake.add(12, { exe = "/usr/bin/xy", pages = 1000 })
    fake.add(13, { exe = "/usr/bin", pages = 1000 })
    fake.add(14, { pages = 1000 }) -- a thread of the kernel has no executable
    assert.same({
      ["a.loda PROC.x.procnum"] = 2, ["a.loda PROC.x.deleted"] = 0, ["a.loda PROC.x.fdnum"] = 4,
      ["a.loda PROC.x.mem"] = 150 * page,
    }, (run(collector, x)))
  end)

  it("says 0 when nothing matches", function()
    assert.same({
      ["a.loda PROC.x.procnum"] = 0, ["a.loda PROC.x.deleted"] = 0, ["a.loda PROC.x.fdnum"] = 0,
      ["a.loda PROC.x.mem"] = 0,
    }, (run(collector, x)))
  end)

  it("counts processes whose executable was replaced, and tells how many", function()
    fake.add(10, { exe = "/usr/bin/x (deleted)" })
    fake.add(11, { exe = "/usr/bin/x" })
    fake.add(12, { exe = "/usr/bin/x (deleted) (deleted)" })
    local values = run(collector, x)
    assert.are.equal(2, values["a.loda PROC.x.procnum"])
    assert.are.equal(1, values["a.loda PROC.x.deleted"])
  end)

  it("takes the share of all cores between two runs, and bytes by the second", function()
    fake.add(10, { exe = "/usr/bin/x", utime = 1000, stime = 500, read = 1e6, written = 2 ^ 40 })
    local values = second_run(function()
      fake.add(10, { exe = "/usr/bin/x", utime = 1600, stime = 833, read = 1e6 + 6000, written = 2 ^ 40 + 61 })
    end)
    assert.are.equal(9.33, values["a.loda PROC.x.cpu"])
    assert.are.equal(100, values["a.loda PROC.x.io.read"])
    assert.are.equal(2, values["a.loda PROC.x.io.write"])
  end)

  it("gives no rate for a process at first sight", function()
    local values = second_run(function() fake.add(10, { exe = "/usr/bin/x", utime = 9999, read = 9e9 }) end)
    assert.are.equal(1, values["a.loda PROC.x.procnum"])
    assert.is_nil(values["a.loda PROC.x.cpu"])
    assert.is_nil(values["a.loda PROC.x.io.read"])
  end)

  it("takes a number with another start time as another process", function()
    fake.add(10, { exe = "/usr/bin/x", utime = 100, start = 100 })
    fake.add(11, { exe = "/usr/bin/x", utime = 100 })
    local values = second_run(function()
      fake.add(10, { exe = "/usr/bin/x", utime = 5100, start = 200 })
      fake.add(11, { exe = "/usr/bin/x", utime = 200 })
    end)
    assert.are.equal(1, values["a.loda PROC.x.cpu"])
  end)

  it("takes a process that executed something else as one at first sight", function()
    fake.add(10, { exe = "/usr/bin/y", utime = 100 })
    local values = second_run(function() fake.add(10, { exe = "/usr/bin/x", utime = 5100 }) end, 60, 10000,
      { item("PROC.x", "/usr/bin/x"), item("PROC.y", "/usr/bin/y") })
    assert.are.equal(1, values["a.loda PROC.x.procnum"])
    assert.are.equal(0, values["a.loda PROC.y.procnum"])
    assert.is_nil(values["a.loda PROC.x.cpu"])
  end)

  it("never shows more than all cores, nor anything for a counter that went backwards", function()
    fake.add(10, { exe = "/usr/bin/x", utime = 100, read = 100 })
    assert.are.equal(100, second_run(function() fake.add(10, { exe = "/usr/bin/x", utime = 99999, read = 99 }) end)
      ["a.loda PROC.x.cpu"])
    env.at(2000)
    fake.cpu(5)
    local values = run(collector, x)
    assert.is_nil(values["a.loda PROC.x.cpu"])
    assert.are.equal(0, values["a.loda PROC.x.io.read"])
  end)

  it("keeps the older sample when two runs are too close", function()
    fake.add(10, { exe = "/usr/bin/x", utime = 0 })
    assert.is_nil(second_run(function() fake.add(10, { exe = "/usr/bin/x", utime = 50 }) end, 0.05)
      ["a.loda PROC.x.cpu"])
    env.at(1060)
    fake.add(10, { exe = "/usr/bin/x", utime = 100 })
    assert.are.equal(1, run(collector, x)["a.loda PROC.x.cpu"])
  end)

  it("measures each interval by itself", function()
    local often = { item("PROC.x", "/usr/bin/x", { interval = 10 }) }
    local function at(seconds, utime, items)
      env.at(seconds)
      fake.cpu(seconds * 100)
      fake.add(10, { exe = "/usr/bin/x", utime = utime })
      return run(collector, items)["a.loda PROC.x.cpu"]
    end
    assert.is_nil(at(1000, 0, x))
    assert.is_nil(at(1001, 0, often))
    assert.are.equal(10, at(1011, 100, often))
    assert.are.equal(20, at(1021, 300, often))
    assert.are.equal(5, at(1060, 300, x))
  end)

  it("forgets the samples of an interval that runs no more", function()
    fake.add(10, { exe = "/usr/bin/x" })
    local often = { item("PROC.x", "/usr/bin/x", { interval = 10 }) }
    run(collector, often)
    env.at(1200)
    run(collector, x)
    env.at(1201)
    fake.cpu(10)
    assert.is_nil(run(collector, often)["a.loda PROC.x.cpu"])
  end)

  it("walks once for all items of a run and tells each namespace its own", function()
    fake.add(10, { exe = "/usr/bin/x" })
    fake.add(11, { exe = "/usr/bin/y" })
    local walks, sweep = 0, env.procfs.sweep
    collector = proc.new(setmetatable({ procfs = {
      cpu = function() return env.procfs:cpu() end,
      sweep = function(_, paths)
        walks = walks + 1
        assert.same({ "/usr/bin/x", "/usr/bin/y" }, paths)
        return sweep(env.procfs, paths)
      end,
    } }, { __index = env }))
    local values = run(collector, { item("PROC.x", "/usr/bin/x"), item("PROC.x", "/usr/bin/x", { ns = "b.loda" }),
      item("PROC.y", "/usr/bin/y", { ns = "b.loda" }), item("PROC.z", "/usr/bin/x") })
    assert.are.equal(1, walks)
    for _, key in ipairs({ "a.loda PROC.x", "b.loda PROC.x", "b.loda PROC.y", "a.loda PROC.z" }) do
      assert.are.equal(1, values[key .. ".procnum"], key)
    end
    assert.is_nil(values["a.loda PROC.y.procnum"])
  end)

  it("leaves no descriptor open", function()
    local uv = require("luv")
    local function descriptors()
      local n = 0
      for _ in uv.fs_scandir_next, uv.fs_scandir("/proc/self/fd") do n = n + 1 end
      return n
    end
    fake.add(10, { exe = "/usr/bin/x" })
    run(collector, x)
    local before = descriptors()
    run(collector, x)
    assert.are.equal(before, descriptors())
  end)

  it("does not count what ends while it looks, nor what has ended", function()
    fake.add(10, { exe = "/usr/bin/x", stat = "" })
    fake.add(11, { exe = "/usr/bin/x", stat = "11 (x) S 1 2" })
    fake.add(12, { exe = "/usr/bin/x", state = "Z" })
    fake.add(13, { exe = "/usr/bin/x" })
    require("collect_env").remove(fake.root .. "/13/fd")
    fake.add(14, { exe = "/usr/bin/x" })
    os.remove(fake.root .. "/14/stat")
    assert.are.equal(0, run(collector, x)["a.loda PROC.x.procnum"])
  end)

  it("leaves out I/O that it may not read, and says so once", function()
    fake.add(10, { exe = "/usr/bin/x" })
    fake.add(11, { exe = "/usr/bin/x", read = false })
    local values = second_run(function() end)
    assert.are.equal(2, values["a.loda PROC.x.procnum"])
    assert.are.equal(0, values["a.loda PROC.x.cpu"])
    assert.is_nil(values["a.loda PROC.x.io.read"])
    assert.are.equal(1, #env.log.lines)
  end)

  it("goes in slices when there are many processes", function()
    for pid = 1, 49 do fake.add(pid, { exe = "/usr/bin/x" }) end
    fake.add(50, { exe = "/usr/bin/x", fds = 1200 }) -- more than one reading of the directory gives
    local slices, turns = 0, 0
    local check = require("luv").new_check()
    check:start(function() turns = turns + 1 end)
    local sweep = env.procfs.sweep
    collector = proc.new(setmetatable({
      procfs = {
        cpu = function() return env.procfs:cpu() end,
        sweep = function(_, paths)
          local real = sweep(env.procfs, paths)
          return setmetatable({ step = function()
            slices = slices + 1
            return real:step(0)
          end }, { __index = function(_, name)
            return function(_, ...) return real[name](real, ...) end
          end })
        end,
      } }, { __index = env }))
    local values = run(collector, x)
    check:close()
    assert.are.equal(50, values["a.loda PROC.x.procnum"])
    assert.are.equal(49 * 3 + 1200, values["a.loda PROC.x.fdnum"])
    assert.is_true(slices > 50 and turns >= slices / 2, turns) -- uv.run("once") runs timers twice in a turn
  end)

  it("answers for no items", function()
    assert.same({}, (run(collector, {})))
  end)

  it("lets overlapping runs take turns, up to a bound", function()
    local stalled = true
    collector = proc.new(setmetatable({ procfs = {
      cpu = function() return { total = 1 } end,
      sweep = function(_, paths)
        local real = env.procfs:sweep(paths)
        return setmetatable({ step = function() return not stalled and real:step(100) end }, {
          __index = function(_, name) return function(_, ...) return real[name](real, ...) end end })
      end,
    } }, { __index = env }))
    local order, refused = {}, 0
    for i = 1, 20 do
      collector.run(x, function(results, err)
        if err then
          assert.are.equal("busy", err.code)
          refused = refused + 1
        else
          assert.are.equal(1, #results)
          order[#order + 1] = i
        end
      end)
    end
    assert.are.equal(3, refused)
    stalled = false
    wait.until_true(function() return #order == 17 end)
    for i = 1, 17 do assert.are.equal(i, order[i]) end
    stalled = true
    for _ = 1, 3 do collector.run(x, function() error("was closed") end) end
    collector.close()
    stalled = false
    assert.are.equal(4, (function()
      local n = 0
      for _ in pairs(run(collector, x)) do n = n + 1 end
      return n
    end)())
  end)

  it("passes on why /proc can't be walked", function()
    local failing = proc.new(setmetatable({ procfs = {
      cpu = function() return nil, "stat: gone", "ENOENT" end,
      sweep = function() return nil, "processes: too many open files", "EMFILE" end,
    } }, { __index = env }))
    local values, err = run(failing, x)
    assert.same({}, values)
    assert.are.equal("EMFILE", err.code)
  end)
end)

describe("collector PROC with command lines", function()
  local fake, env, collector
  before_each(function()
    fake = fake_proc.new()
    env = fake.env()
    env.deadline = 0.3
    collector = proc.new(env)
  end)
  after_each(function()
    collector.close()
    env.procfs:close()
    fake.remove()
  end)

  local python = "/usr/bin/python3"
  local items = { item("PROC.app", python, { cmdline = "app.py --port 80" }),
    item("PROC.dash", python, { cmdline = "a-b.py", ns = "b.loda" }), item("PROC.all", python) }

  it("narrow to the processes that have the text, taken plainly, arguments joined by blanks", function()
    fake.add(10, { exe = python, cmdline = "python3\0/srv/app.py\0--port\0" .. "80\0" })
    fake.add(11, { exe = python, cmdline = "python3\0/srv/app.py\0--port\0" .. "443\0" })
    fake.add(12, { exe = python, cmdline = "python3\0a-b.py\0" })
    fake.add(13, { exe = python, cmdline = "" })
    fake.add(14, { exe = python }) -- none: gone meanwhile
    fake.add(15, { exe = "/usr/bin/other", cmdline = "a-b.py\0" })
    local values, err = run(collector, items)
    assert.is_nil(err)
    assert.are.equal(1, values["a.loda PROC.app.procnum"])
    assert.are.equal(1, values["b.loda PROC.dash.procnum"])
    assert.are.equal(5, values["a.loda PROC.all.procnum"])
    assert.are.equal(3, values["b.loda PROC.dash.fdnum"])
  end)

  it("are looked at twice in the life of a process, and for a new text once more", function()
    local asked = {}
    local client = env.worker
    env.worker = { run = function(name, request, options, callback)
      asked[#asked + 1] = #request
      return client.run(name, request, options, callback)
    end }
    collector = proc.new(env)
    fake.add(10, { exe = python, cmdline = "python3\0old.py\0" })
    assert.are.equal(0, run(collector, items)["a.loda PROC.app.procnum"])
    fake.add(10, { exe = python, cmdline = "python3\0app.py\0--port\0" .. "80\0" }) -- between fork and exec we looked
    for _ = 1, 3 do assert.are.equal(1, run(collector, items)["a.loda PROC.app.procnum"]) end
    assert.same({ 1, 1 }, asked)
    fake.add(11, { exe = python, cmdline = "python3\0a-b.py\0" })
    assert.are.equal(1, run(collector, items)["b.loda PROC.dash.procnum"])
    assert.are.equal(1, run(collector, { item("PROC.n", python, { cmdline = "80" }) })["a.loda PROC.n.procnum"])
    assert.same({ 1, 1, 1, 2 }, asked)
    fake.add(10, { exe = python, start = 200, cmdline = "python3\0a-b.py\0" })
    assert.are.equal(2, run(collector, items)["b.loda PROC.dash.procnum"])
    assert.are.equal(5, #asked)
  end)

  it("that hang are left, reported and not asked again; the others are told", function()
    fake.add(10, { exe = python, cmdline = "python3\0app.py\0--port\0" .. "80\0" })
    fake.add(11, { exe = python })
    os.execute("mkfifo " .. fake.root .. "/11/cmdline") -- opening it waits for a writer for ever
    fake.add(12, { exe = python, cmdline = "python3\0a-b.py\0" })
    local values, err = run(collector, items)
    assert.is_nil(err)
    assert.are.equal(1, values["a.loda PROC.app.procnum"])
    assert.are.equal(1, values["b.loda PROC.dash.procnum"])
    assert.are.equal(3, values["a.loda PROC.all.procnum"])
    assert.are.equal(1, #env.log.lines)
    assert.are.equal(11, env.log.lines[1].fields.pid)
    local began = require("luv").hrtime()
    run(collector, items)
    assert.is_true((require("luv").hrtime() - began) / 1e9 < env.deadline, "it was asked again")
    assert.are.equal(1, #env.log.lines)
    os.remove(fake.root .. "/11/cmdline")
    fake.add(11, { exe = python, cmdline = "python3\0a-b.py\0" })
    env.at(1700)
    assert.are.equal(2, run(collector, items)["b.loda PROC.dash.procnum"])
  end)

  it("hang at most a few times in one run", function()
    for pid = 10, 16 do
      fake.add(pid, { exe = python })
      os.execute(("mkfifo %s/%d/cmdline"):format(fake.root, pid))
    end
    env.deadline = 0.15
    collector = proc.new(env)
    local values, err = run(collector, items)
    assert.are.equal("stuck", err.code)
    assert.is_nil(values["a.loda PROC.app.procnum"])
    assert.are.equal(7, values["a.loda PROC.all.procnum"])
    assert.are.equal(4, #env.log.lines)
  end)

  it("that no worker can read leave their items without a value", function()
    env.worker = { run = function(_, _, _, callback) callback({ code = "spawn", message = "no" }) end }
    collector = proc.new(env)
    fake.add(10, { exe = python, cmdline = "python3\0app.py\0--port\0" .. "80\0" })
    local values, err = run(collector, items)
    assert.are.equal("spawn", err.code)
    assert.is_nil(values["a.loda PROC.app.procnum"])
    assert.are.equal(1, values["a.loda PROC.all.procnum"])
  end)

  it("are not read when nobody has the executable", function()
    env.worker = { run = function() error("asked") end }
    collector = proc.new(env)
    assert.are.equal(0, run(collector, items)["a.loda PROC.app.procnum"])
  end)
end)
