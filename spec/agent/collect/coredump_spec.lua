local collect = require("collect_env")
local coredump = require("agent.collect.coredump")
local uv = require("luv")

local NOW = 1700000000

describe("group COREDUMP", function()
  local root, env

  before_each(function()
    root = collect.tempdir()
    uv.fs_mkdir(root .. "/cores", 448)
    env = collect.new({ rootfs = root, coredumpdir = "/cores" })
  end)

  after_each(function() collect.remove(root) end)

  local function dump(name) collect.write(root .. "/cores/" .. name, "") end

  local function services(collector)
    local names = {}
    for _, metric in ipairs((collect.run(collector))) do
      assert.equal("app.service.coredump", metric.name)
      assert.equal(1, metric.value)
      names[#names + 1] = metric.tags.service
    end
    table.sort(names)
    return table.concat(names, " ")
  end

  it("takes names with literal dots only", function()
    assert.equal("my_app-2", coredump.parse("core.my_app-2.17.1700000000"))
    for _, name in ipairs({
      "core-svc-123-1600000000", "coreXsvcX1X1700000000", "core.a.b.17.1700000000", "core..17.1700000000",
      "core.a.17", "core.a.x.1700000000", "core.a.17.1700000000.gz", "acore.a.17.1700000000",
      "core.a.17.170000000000000000000", "core.a b.17.1700000000", "core.a.-1.1700000000",
    }) do
      assert.is_nil((coredump.parse(name)), name)
    end
  end)

  it("looks back one interval at first", function()
    dump("core.old.1." .. NOW - 61)
    dump("core.new.1." .. NOW - 59)
    assert.equal("new", services(coredump.new(env)))
  end)

  it("reports each file once, whatever the time between the runs", function()
    local collector = coredump.new(env)
    assert.equal("", services(collector))
    env.now = NOW + 1000.7
    dump("core.a.1." .. NOW + 3)
    dump("core.b.1." .. NOW + 1000)
    assert.equal("a b", services(collector))
    dump("core.c.2." .. NOW + 1000)
    assert.equal("c", services(collector))
    env.now = NOW + 1001
    assert.equal("", services(collector))
    env.now = NOW + 2000
    assert.equal("", services(collector))
  end)

  it("waits with a file from the future until its time has come", function()
    dump("core.future.1." .. NOW + 30)
    local collector = coredump.new(env)
    assert.equal("", services(collector))
    env.now = NOW + 60
    assert.equal("future", services(collector))
    env.now = NOW + 120
    assert.equal("", services(collector))
  end)

  it("is silent without the directory", function()
    env.conf.coredumpdir = "/none"
    assert.equal("", services(coredump.new(env)))
    assert.same({}, env.log.lines)
  end)

  it("warns once when the directory is none", function()
    dump("file")
    env.conf.coredumpdir = "/cores/file"
    local collector = coredump.new(env)
    assert.equal("", services(collector))
    assert.equal("", services(collector))
    assert.equal(1, #env.log.lines)
  end)

  it("reads a directory of thousands in batches", function()
    for i = 1, 2000 do dump("other" .. i) end
    dump("core.app.1." .. NOW)
    assert.equal("app", services(coredump.new(env)))
  end)
end)

describe("group DEV", function()
  it("runs and emits nothing", function()
    local dev = require("agent.collect.dev")
    assert.equal(300, dev.interval)
    assert.same({}, (collect.run(dev.new(collect.new()))))
  end)
end)
