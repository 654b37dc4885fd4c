-- builtin/cgroup.lua against a tree of files as the kernel writes them.

local program = require("program")
local shipped = require("shipped")
local uv = require("luv")

describe("builtin cgroup", function()
  local cgroup = shipped.load("cgroup")
  local folder

  local function write(group, files)
    os.execute(("mkdir -p '%s/%s'"):format(folder, group))
    for name, text in pairs(files) do program.write(("%s/%s/%s"):format(folder, group, name), text) end
  end

  local function stat_of(path)
    local stat = uv.fs_stat(path)
    return stat and { type = stat.type }
  end

  local function list_of(path)
    local names = {}
    local entries = uv.fs_scandir(path)
    for name in function() return entries and uv.fs_scandir_next(entries) end do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  local function context()
    return shipped.ctx({ stat = stat_of, list = list_of, read_file = program.read, regex = require("host.regex").new })
  end

  local function run(ctx, given)
    given.root = given.root or folder
    return cgroup.run(shipped.params(cgroup, given), ctx)
  end

  local function pressure(some)
    return ("some avg10=1.00 avg60=0.00 avg300=0.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
      :format(some)
  end

  local function service(usage)
    local cpu = "usage_usec %d\nuser_usec %d\nsystem_usec 1000\nnr_periods 0\nthrottled_usec 0\n"
    local io = "8:0 rbytes=%d wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n8:16 rbytes=%d wbytes=10\n"
    return {
      ["cpu.stat"] = cpu:format(usage, usage),
      ["memory.current"] = "1048576\n", ["memory.max"] = "4194304\n", ["memory.swap.current"] = "0\n",
      ["memory.stat"] = "anon 500000\nfile 400000\nkernel 1\n", ["memory.events"] = "low 0\noom 1\noom_kill 2\n",
      ["io.stat"] = io:format(usage, usage), ["cpu.pressure"] = pressure(usage),
      ["memory.pressure"] = pressure(0), ["io.pressure"] = pressure(0), ["pids.current"] = "5\n",
    }
  end

  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  it("gives what a service used since the run before", function()
    local ctx = context()
    write("system.slice/ssh.service", service(1000000))
    local first = assert(run(ctx, { paths = "system.slice/*.service" }))
    assert.equal(1, shipped.value(first, "groups"))
    assert.is_nil(shipped.value(first, "cpu.used"))
    ctx.pass(10)
    write("system.slice/ssh.service", service(6000000))
    local list = assert(run(ctx, { paths = "system.slice/*.service" }))
    local tags = { cgroup = "system.slice/ssh.service" }
    assert.equal(50, shipped.value(list, "cpu.used", tags))
    assert.equal(25, shipped.value(list, "memory.used.percent", tags))
    assert.equal(1000000, shipped.value(list, "io.read", tags))
    assert.equal(50, shipped.value(list, "pressure.cpu.some", tags))
    assert.equal(2, shipped.value(list, "memory.oom_kills", tags))
    assert.equal(5, shipped.value(list, "tasks", tags))
    shipped.compare("cgroup", first, list)
  end)

  it("leaves out what a group's controllers do not offer", function()
    local ctx = context()
    write("", { ["cpu.stat"] = "usage_usec 1\n", ["cgroup.procs"] = "" })
    write("a.slice", { ["memory.current"] = "5\n", ["memory.max"] = "max\n", ["io.stat"] = "" })
    local list = shipped.list(assert(run(ctx, { paths = "/, a.slice, missing.slice" })))
    table.sort(list, function(a, b) return a.name < b.name end)
    assert.same({ { name = "groups", value = 2 },
      { name = "memory.used", value = 5, tags = { cgroup = "a.slice" } } }, list)
  end)

  it("goes as deep as asked, and no group counts twice", function()
    local ctx = context()
    for _, name in ipairs({ "a.slice/b/c/d", "a.slice/e" }) do write(name, { ["pids.current"] = "1\n" }) end
    assert.equal(1, shipped.value(run(ctx, { paths = "a.slice" }), "groups"))
    ctx.pass(1)
    assert.equal(3, shipped.value(run(ctx, { paths = "a.slice", depth = "1" }), "groups"))
    ctx.pass(1)
    assert.equal(5, shipped.value(run(ctx, { paths = "a.slice, a.slice/*", depth = 3 }), "groups"))
    ctx.pass(1)
    assert.equal(2, shipped.value(run(ctx, { paths = "a.slice", depth = 3, most = 2 }), "groups"))
    assert.match("3 groups are left out", ctx.records[1])
  end)

  it("refuses paths that lead out of the tree, and says so of a machine without version 2", function()
    local ctx = context()
    assert.match("no path below the root", select(2, run(ctx, { paths = "../etc" })))
    assert.match("no path below the root", select(2, run(ctx, { paths = "a/../../etc" })))
    assert.match("depth", select(2, run(ctx, { paths = "a", depth = 9 })))
    assert.match("no absolute path", select(2, run(ctx, { root = "sys" })))
    ctx.read_file = function() return "30 1 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" end
    assert.match("no hierarchy of version 2", select(2, cgroup.run(shipped.params(cgroup, {}), ctx)))
  end)

  it("finds the mount among others, with blanks in its path", function()
    assert.equal("/sys/fs/cgroup/uni fied", cgroup.parsers.root(
      "25 1 0:22 / /sys rw - sysfs sysfs rw\n"
      .. "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw\n"))
    assert.is_nil(cgroup.parsers.root("garbage - cgroup2\n\n - cgroup2 x"))
  end)

  it("reads nothing out of nonsense", function()
    local nonsense = { "", "\0\1\2", "usage_usec", "usage_usec -5", "8:0 rbytes=x", "some total=", ("9"):rep(400) }
    for _, text in ipairs(nonsense) do
      assert.same({}, cgroup.parsers.pairs(text))
      assert.same({}, cgroup.parsers.pressure(text))
      local io = cgroup.parsers.io(text)
      assert.is_true(io == nil or io.rbytes == 0)
    end
  end)
end)
