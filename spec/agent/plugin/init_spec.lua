local plugins = require("agent.plugin")

local function item(more)
  local record = { type = "PLUGIN", ns = "a.loda", name = "PLUGIN.mysql", git = "git@h:ops/mysql.git",
    project = "ops/mysql", dir = "mysql", interval = 60, args = { "-v" } }
  for name, value in pairs(more or {}) do record[name] = value end
  return record
end

-- Keeps the warnings.
local function log_into(warnings)
  local function warning(_, message, fields) warnings[#warnings + 1] = { message, fields } end
  return setmetatable({ warning = warning }, { __index = function() return function() end end })
end

-- The room among fakes that record what is asked of them and answer when told to.
local function setup(disabled)
  local box = { now = 1e6, jobs = {}, timers = {}, reports = {}, released = {}, runs = {}, asked = {}, updates = {},
    told = {}, warnings = {}, cgroups = { directory = "/cg", memory = true, cpu = true, processes = true } }
  local scheduler = {
    every = function(_, id, interval, fn, beat) box.jobs[id] = { interval = interval, fn = fn, beat = beat } end,
    remove = function(_, id) box.jobs[id] = nil end,
  }
  local checkout = {
    ensure = function(_, record, callback) table.insert(box.asked, { record = record, answer = callback }) end,
    update = function(_, record, callback) table.insert(box.updates, { record = record, answer = callback }) end,
    release = function(_, _, tree) table.insert(box.released, tree.path) end,
  }
  box.room = plugins.new({
    conf = { agent = { pluginsdir = "/p", pluginsuser = "nobody", mininterval = 10, autoenable = 86400 },
      plugins = { cpuseconds = 1, addressspace = 2, processes = 3, openfiles = 4, filesize = 5, outputsize = 6,
        memory = 7, cpu = 0 } },
    scheduler = scheduler, checkout = checkout, log = log_into(box.warnings), random = function() return 0.5 end,
    outcome = { report = function(_, run) table.insert(box.reports, run) end },
    exec = {
      run = function(options, callback)
        table.insert(box.runs, { options = options, finish = callback })
        return { kill = function() box.killed = true end }
      end,
      cgroups = function() return box.runs[1] and box.cgroups end,
    },
    worker = function(_, request, _, callback)
      table.insert(box.told, request)
      if request.op ~= "prepare" then return callback(box.marker_error) end
      callback(box.prepare_error, not box.prepare_error and { owner = "65534:65534", disabled = disabled or {} } or nil)
    end,
    read = function(text, options, done) box.read(text, done, options) end,
    after = function(seconds, fn)
      local timer = { seconds = seconds, fn = fn, cancel = function(self) self.cancelled = true end }
      table.insert(box.timers, timer)
      return timer
    end,
    later = function(fn) fn() end, wall = function() return box.now end,
  })
  box.read = function(_, done) done(nil, { { name = "threads", value = 1 } }, {}, "json") end
  -- Checked out and scheduled.
  function box.ready(record, path)
    box.room:apply({ record or item() })
    box.asked[#box.asked].answer(nil,
      { path = path or "/p/.trees/1", commit = "abc", entry = "plugin.sh", home = "/h" })
  end
  function box.tick(id)
    local done = {}
    box.jobs[id or "PLUGIN a.loda|mysql"].fn(function(err) done.called, done.err = true, err end)
    return done
  end
  function box.finish(result)
    local all = { code = 0, signal = 0, timed_out = false, truncated = false, stuck = false, stdout = "[]", stderr = "",
      duration_ms = 20, rusage = { user_ms = 1, system_ms = 2, maxrss = 4096 } }
    for name, value in pairs(result or {}) do all[name] = value end
    box.runs[#box.runs].finish(all)
  end
  return box
end

describe("the plugin room", function()
  it("checks a plugin out, runs it at its interval as its user, and reports what it gave", function()
    local box = setup()
    box.ready()
    assert.equal(60, box.jobs["PLUGIN a.loda|mysql"].interval)
    assert.equal(0.25, box.jobs["PLUGIN a.loda|mysql"].beat)
    local done = box.tick()
    local options = box.runs[1].options
    assert.same({ "bash", "/p/.trees/1/plugin.sh", "-v" }, options.argv)
    assert.equal("/p/.trees/1", options.cwd)
    assert.equal("65534:65534", options.user)
    assert.equal(59500, options.deadline_ms)
    assert.equal(6, options.max_output)
    assert.same({ AGENT_NS = "a.loda", AGENT_PLUGIN = "mysql", AGENT_INTERVAL = "60", HOME = "/h", LANG = "C.UTF-8",
      PATH = options.env.PATH }, options.env)
    box.finish()
    assert.is_true(done.called)
    assert.is_nil(done.err)
    local report = box.reports[1]
    assert.same({ 0, "plugin", "regular", "abc", "PLUGIN.mysql", "ops/mysql" },
      { report.status, report.kind, report.type, report.commit, report.name, report.project })
    assert.same({ { name = "threads", value = 1 } }, report.metrics)
    assert.same({ seconds = 0.02, cpu_ms = 3, maxrss = 4096, output_bytes = 2 }, report.usage)
  end)

  it("says once which limits nobody holds, after the first run, and in its status", function()
    local box = setup()
    box.cgroups = { why = "no cgroup2 is mounted", memory = false, cpu = false, processes = false }
    box.ready()
    assert.is_nil(box.room:status().cgroups)
    for _ = 1, 2 do
      box.tick()
      box.finish()
    end
    assert.same({ { "limits that nobody holds here",
      { limits = "plugins.memory", reason = "no cgroup2 is mounted" } } }, box.warnings)
    assert.same({ plugins = 1, running = 0, disabled = 0, not_checked_out = 0, cgroups = box.cgroups,
      not_held = { limits = "plugins.memory", reason = "no cgroup2 is mounted" } }, box.room:status())
  end)

  it("executes `plugin` itself, with the item's own timeout and limits", function()
    local box = setup()
    box.room:apply({ item({ timeout = 5, limits = { memory = 99, output = 77, cpu = 2 } }) })
    box.asked[1].answer(nil, { path = "/t", commit = "c", entry = "plugin", home = "/h" })
    box.tick()
    local options = box.runs[1].options
    assert.same({ "/t/plugin", "-v" }, options.argv)
    assert.equal("/t/plugin", options.path)
    assert.equal(5000, options.deadline_ms)
    assert.equal(77, options.max_output)
    assert.same({ 99, 2, 1 }, { options.limits.memory, options.limits.cpu, options.limits.cpu_s })
  end)

  it("tells the ways a run can fail apart", function()
    local box = setup()
    box.ready()
    local function status_of(result, read)
      box.read = read or function(_, done) done(nil, {}, {}, "json") end
      local done = box.tick()
      box.finish(result)
      local report = box.reports[#box.reports]
      assert.equal(report.status ~= 0, done.err ~= nil)
      assert.is_true(report.status == 0 or report.metrics == nil)
      return report.status, report.reason
    end
    assert.same({ 1, "exit status 3: no server" }, { status_of({ code = 3, stderr = "x\nno server\n" }) })
    assert.same({ 1, "killed by signal 11" }, { status_of({ code = -1, signal = 11 }) })
    assert.same({ 2, "plugin timeout" }, { status_of({ code = -1, signal = 9, timed_out = true }) })
    assert.equal(3, (status_of({ truncated = true })))
    local function unreadable(_, done) done({ code = "output", message = "not JSON" }) end
    assert.same({ 3, "not JSON" }, { status_of({}, unreadable) })
    assert.equal(1, (status_of({ error = { code = "ENOENT", message = "no such file" }, code = -1 })))
    assert.equal(0, (status_of({ code = 2 }, function(_, done) done(nil, {}, {}, "nagios") end)))
  end)

  it("tells the reader of its output what the output was before", function()
    local box = setup()
    box.ready()
    local before, kinds = {}, { "nagios", "empty", nil, "json" }
    for i = 1, 5 do
      box.read = function(_, done, options)
        before[i] = options.before or "-"
        done(nil, {}, {}, kinds[i])
      end
      box.tick()
      box.finish({})
    end
    assert.same({ "-", "nagios", "nagios", "nagios", "json" }, before)
  end)

  it("never runs one twice at once, and runs one with interval 0 on call only", function()
    local box = setup()
    box.ready(item({ interval = 0 }))
    assert.same({}, box.jobs)
    local plugin = box.room:find("a.loda", "ops/mysql")
    local first, second
    box.room:call(plugin, 7, { "x" }, function(err, ended) first = { err, ended } end)
    box.room:call(plugin, 7, {}, function(err) second = err end)
    assert.equal("busy", second.code)
    assert.equal(7000, box.runs[1].options.deadline_ms)
    assert.equal("x", box.runs[1].options.argv[3])
    box.finish({ stdout = "anything at all" })
    assert.is_nil(first[1])
    assert.equal("anything at all", first[2].result.stdout)
    assert.equal("call", box.reports[1].type)
  end)

  it("skips a tick while a called run is under way", function()
    local box = setup()
    box.ready()
    box.room:call(box.room:find("a.loda", "ops/mysql"), 7, {}, function() end)
    assert.equal("busy", box.tick().err.code)
    assert.equal(1, #box.runs)
  end)

  it("lets a run keep its tree while an update switches, and gives the old one back after it", function()
    local box = setup()
    box.ready()
    box.tick()
    local changed
    box.room:update(box.room:find("a.loda", "ops/mysql"), function(_, answer) changed = answer end)
    box.updates[1].answer(nil, { path = "/p/.trees/2", commit = "def", entry = "plugin.sh", home = "/h" }, true)
    assert.is_true(changed)
    assert.same({}, box.released)
    box.finish()
    assert.same({ "/p/.trees/1" }, box.released)
    box.tick()
    assert.equal("/p/.trees/2", box.runs[2].options.cwd)
  end)

  it("serves on with what it has when an update fails", function()
    local box = setup()
    box.ready()
    local why
    box.room:update(box.room:find("a.loda", "ops/mysql"), function(err) why = err.message end)
    box.updates[1].answer({ code = "timeout", message = "no answer" })
    assert.equal("no answer", why)
    box.tick()
    assert.equal("/p/.trees/1", box.runs[1].options.cwd)
  end)

  it("tries again ever later when a plugin can't be checked out, and says so", function()
    local box = setup()
    box.room:apply({ item() })
    for i, seconds in ipairs({ 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600 }) do
      box.asked[i].answer({ code = "failed", message = "no such host" })
      assert.equal(seconds, box.timers[i].seconds)
      box.timers[i].fn()
    end
    assert.equal("no such host", box.room:list()[1].error)
    assert.same({ 1, "not checked out: no such host" }, { box.reports[1].status, box.reports[1].reason })
    box.room:apply({})
    assert.equal(11, #box.timers)
  end)

  it("runs what it has when what the item asks for can't be had, and goes on trying", function()
    local box = setup()
    box.room:apply({ item({ ref = "v2" }) })
    local old = { path = "/p/.trees/1", commit = "abc", entry = "plugin.sh", home = "/h" }
    box.asked[1].answer({ code = "timeout", message = "no answer" }, old)
    box.tick()
    assert.equal("/p/.trees/1", box.runs[1].options.cwd)
    box.finish()
    assert.equal("no answer", box.room:list()[1].error)
    box.timers[1].fn()
    box.asked[2].answer(nil, { path = "/p/.trees/2", commit = "def", entry = "plugin.sh", home = "/h" })
    box.tick()
    assert.equal("/p/.trees/2", box.runs[2].options.cwd)
    assert.is_nil(box.room:list()[1].error)
    assert.equal(1, #box.timers)
  end)

  it("drops what the registry no longer names, when its run is over", function()
    local box = setup()
    box.ready()
    box.tick()
    box.room:apply({})
    assert.same({}, box.jobs)
    assert.same({}, box.released)
    box.finish()
    assert.same({ "/p/.trees/1" }, box.released)
    assert.same({}, box.room:list())
  end)

  it("takes over a new interval at once, and checks out anew only for another source", function()
    local box = setup()
    box.ready()
    box.room:apply({ item({ interval = 5 }) })
    assert.equal(10, box.jobs["PLUGIN a.loda|mysql"].interval)
    assert.equal(1, #box.asked)
    box.room:apply({ item({ ref = "v2" }) })
    assert.same({}, box.jobs)
    assert.equal(2, #box.asked)
  end)

  it("doesn't schedule what is disabled, and schedules it again when enabled", function()
    local box = setup({ ["a.loda|mysql"] = 1e6 - 10 })
    box.ready()
    assert.same({}, box.jobs)
    assert.is_false(box.room:list()[1].enabled)
    local plugin = box.room:find("a.loda", "ops/mysql")
    box.room:enable(plugin, function(err) assert.is_nil(err) end)
    assert.truthy(box.jobs["PLUGIN a.loda|mysql"])
    box.marker_error = { code = "failed", message = "read-only" }
    local failed
    box.room:disable(plugin, function(err) failed = err.message end)
    assert.equal("read-only", failed)
    assert.truthy(box.jobs["PLUGIN a.loda|mysql"])
    box.marker_error = nil
    box.room:disable(plugin, function() end)
    assert.same({}, box.jobs)
    assert.same({ op = "disable", dir = "/p", name = "a.loda|mysql" }, box.told[#box.told])
  end)

  it("enables again after a day of the wall clock, also one spent down", function()
    local box = setup({ ["a.loda|mysql"] = 1e6 - 86400, ["a.loda|x"] = 1e6 + 5e6 })
    box.ready()
    assert.truthy(box.jobs["PLUGIN a.loda|mysql"])
    box.room:disable(box.room:find("a.loda", "ops/mysql"), function() end)
    assert.same({}, box.jobs)
    local timer = box.timers[#box.timers]
    assert.equal(600, timer.seconds)
    box.now = box.now + 86401
    timer.fn()
    assert.truthy(box.jobs["PLUGIN a.loda|mysql"])
  end)

  it("asks again later when it can't be told who plugins run as", function()
    local box = setup()
    box.prepare_error = { code = "timeout", message = "the disk hangs" }
    box.room:apply({ item() })
    assert.equal(0, #box.asked)
    box.prepare_error = nil
    box.timers[1].fn()
    assert.equal(1, #box.asked)
  end)

  it("ends what runs when it is closed, and waits for it", function()
    local box = setup()
    box.ready()
    box.tick()
    local closed
    box.room:close(function() closed = true end)
    assert.is_true(box.killed)
    assert.is_nil(closed)
    box.finish()
    assert.is_true(closed)
  end)

  it("takes a run that KILL does not end for running until it is gone", function()
    local box = setup()
    box.ready()
    box.tick()
    box.finish({ stuck = true, timed_out = true, code = -1 })
    assert.equal(2, box.reports[1].status)
    assert.equal("busy", box.tick().err.code)
    box.runs[1].options.on_gone()
    box.tick()
    assert.equal(2, #box.runs)
  end)
end)
