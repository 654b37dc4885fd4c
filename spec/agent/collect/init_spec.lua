local Collection = require("agent.collect")

-- A collection whose schedules and emitted metrics a test can look at; groups and checkers are fakes.
local function setup(options)
  local t = { schedules = {}, removed = {}, emitted = {}, asked = {}, order = {} }
  options = options or {}
  local loaded = {}
  local function fake(name, module)
    loaded[name] = package.loaded[name]
    package.loaded[name] = module
  end
  for _, name in ipairs({ "cpu", "mem", "net", "disk", "fs", "kernel", "coredump", "time", "dev", "self" }) do
    local group = { name = name:upper(), interval = 10 }
    function group.new()
      local collector = { also = name == "kernel" and "security.monitor.loda" or nil,
        last = name == "net" and function() return { "traffic" } end or nil }
      function collector.run(done) done({ { name = name, value = 1 } }, t.err) end
      return collector
    end
    fake("agent.collect." .. name, group)
  end
  for _, name in ipairs({ "port", "proc" }) do
    fake("agent.collect." .. name, { new = function()
      return { run = function(items, done)
        t.checked = items
        done({ { ns = "a.loda", metrics = { { name = name, value = 1 } } }, { ns = "b.loda", metrics = {} } })
      end }
    end })
  end
  t.collection = Collection.new({
    env = {}, conf = { intervals = options.intervals or {}, mininterval = 10 },
    scheduler = {
      every = function(_, id, interval, run)
        assert(not t.schedules[id], id)
        t.schedules[id] = { interval = interval, run = run }
        t.order[#t.order + 1] = id
      end,
      remove = function(_, id) t.schedules[id] = nil end,
    },
    emit = function(namespaces, metrics)
      t.emitted[#t.emitted + 1] = { table.concat(namespaces, " "), metrics[1].name }
    end,
    namespaces = function() return { "a.loda", "b.loda" } end,
    interval = function(group) return t.asked[group] end,
    log = { warning = function(_, text) t.warning = text end },
  })
  function t.restore()
    for name in pairs(package.loaded) do
      if name:find("^agent%.collect%.") then package.loaded[name] = loaded[name] end
    end
  end
  return t
end

local function item(kind, name, interval)
  return { type = kind, ns = "a.loda", name = name, interval = interval }
end

describe("the collection", function()
  local t
  before_each(function() t = setup() end)
  after_each(function() t.restore() end)

  it("runs the system groups always, for every namespace; KERNEL's copy once", function()
    t.collection:apply({})
    t.schedules.CPU.run(function() end)
    t.schedules.KERNEL.run(function() end)
    assert.same({ { "a.loda b.loda", "cpu" }, { "a.loda b.loda", "kernel" }, { "security.monitor.loda", "kernel" } },
      t.emitted)
    assert.same({ "traffic" }, t.collection:traffic())
  end)

  it("takes the interval of the registry, else of the configuration, else the default, not below the least", function()
    t.restore()
    t = setup({ intervals = { MEM = 30, DISK = 2 } })
    t.asked.CPU, t.asked.NET = 20, 3
    t.collection:apply({})
    assert.equal(20, t.schedules.CPU.interval)
    assert.equal(30, t.schedules.MEM.interval)
    assert.equal(10, t.schedules.NET.interval)
    assert.equal(10, t.schedules.DISK.interval)
    assert.equal(10, t.schedules.FS.interval)
  end)

  it("touches only the group whose interval changed", function()
    t.collection:apply({})
    local cpu, mem = t.schedules.CPU, t.schedules.MEM
    t.asked.CPU = 60
    t.collection:apply({})
    assert.are_not.equal(cpu, t.schedules.CPU)
    assert.equal(60, t.schedules.CPU.interval)
    assert.equal(mem, t.schedules.MEM)
  end)

  it("runs the checks of one interval together and publishes per namespace", function()
    t.collection:apply({ item("PORT", "x", 60), item("PORT", "y", 60), item("PORT", "z", 5), item("PROC", "p", 60) })
    assert.equal(60, t.schedules["PORT@60"].interval)
    assert.equal(10, t.schedules["PORT@10"].interval)
    t.schedules["PORT@60"].run(function() end)
    assert.equal(2, #t.checked)
    assert.same({ { "a.loda", "port" } }, t.emitted)
    assert.is_table(t.schedules["PROC@60"])
  end)

  it("changes the items of a schedule without disturbing it", function()
    t.collection:apply({ item("PORT", "x", 60) })
    local schedule = t.schedules["PORT@60"]
    t.collection:apply({ item("PORT", "x", 60), item("PORT", "new", 60) })
    assert.equal(schedule, t.schedules["PORT@60"])
    schedule.run(function() end)
    assert.equal("new", t.checked[2].name)
  end)

  it("ends the schedules that nothing asks for any more", function()
    t.collection:apply({ item("PORT", "x", 60) })
    t.collection:apply({})
    assert.is_nil(t.schedules["PORT@60"])
    t.collection:apply({ item("PORT", "x", 60) })
    assert.is_table(t.schedules["PORT@60"])
  end)

  it("says what a collector complains of, and publishes the rest", function()
    t.err = { code = "ENOENT", message = "cannot read /proc/stat" }
    t.collection:apply({})
    local answered
    t.schedules.CPU.run(function(err) answered = err end)
    assert.equal("cannot read /proc/stat", t.warning)
    assert.equal(t.err, answered)
    assert.equal(1, #t.emitted)
  end)
end)
