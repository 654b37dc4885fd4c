local collect = require("collect_env")
local kernel = require("agent.collect.kernel")
local record = require("utmp_record")
local uv = require("luv")

local NOW = 1700000000

describe("group KERNEL", function()
  local root, env, wtmp, btmp

  before_each(function()
    root = collect.tempdir()
    uv.fs_mkdir(root .. "/var", 448)
    uv.fs_mkdir(root .. "/var/log", 448)
    wtmp, btmp = root .. "/var/log/wtmp", root .. "/var/log/btmp"
    env = collect.new({ rootfs = root .. "/" })
  end)

  after_each(function() collect.remove(root) end)

  local function users(metrics)
    local names = {}
    for _, metric in ipairs(metrics) do names[#names + 1] = metric.tags.user end
    return table.concat(names, " ")
  end

  local function login(user, time, more)
    local fields = { type = 7, user = user, line = "pts/0", host = "10.0.0.7", time = time or NOW }
    for key, value in pairs(more or {}) do fields[key] = value end
    return record(fields)
  end

  it("has the interval of the contract and a copy for the security namespace", function()
    assert.equal(300, kernel.interval)
    assert.equal("security.monitor.loda", kernel.also)
    assert.equal("security.monitor.loda", kernel.new(env).also)
  end)

  it("reports a login with its tags and its own time", function()
    collect.write(wtmp, login("alice", NOW - 10))
    assert.same({ {
      name = "kernel.user.login", value = 1, timestamp = NOW - 10,
      tags = { user = "alice", device = "pts/0", remote = "10.0.0.7", success = "true" },
    } }, (collect.run(kernel.new(env))))
  end)

  it("reports a failure from btmp with value 0", function()
    collect.write(btmp, login("root", NOW - 1, { type = 6, line = "ssh:notty" }))
    assert.same({ {
      name = "kernel.user.login", value = 0, timestamp = NOW - 1,
      tags = { user = "root", device = "ssh:notty", remote = "10.0.0.7", success = "false" },
    } }, (collect.run(kernel.new(env))))
  end)

  it("leaves out logouts, boots and runlevels", function()
    local bytes = ""
    for kind = 0, 9 do
      if kind ~= 7 then bytes = bytes .. login("x", NOW, { type = kind }) end
    end
    collect.write(wtmp, bytes)
    assert.same({}, (collect.run(kernel.new(env))))
  end)

  it("never sends an empty tag", function()
    collect.write(wtmp, login("", NOW, { line = " ", host = "\n" }))
    local tags = collect.run(kernel.new(env))[1].tags
    assert.same({ user = "-", device = "-", remote = "local", success = "true" }, tags)
  end)

  it("looks back one interval at first, then reads each record once, whatever the time between", function()
    collect.write(wtmp, login("old", NOW - 301) .. login("recent", NOW - 299))
    local collector = kernel.new(env)
    assert.equal("recent", users(collect.run(collector)))
    assert.equal("", users(collect.run(collector)))
    env.now = NOW + 5000
    collect.write(wtmp, login("bob", NOW + 10) .. login("carol", NOW + 4000), "ab")
    assert.equal("bob carol", users(collect.run(collector)))
    assert.equal("", users(collect.run(collector)))
  end)

  it("leaves a partial last record for the next run", function()
    local late = login("late")
    collect.write(wtmp, login("alice") .. late:sub(1, 100))
    local collector = kernel.new(env)
    assert.equal("alice", users(collect.run(collector)))
    collect.write(wtmp, late:sub(101), "ab")
    assert.equal("late", users(collect.run(collector)))
  end)

  it("reads the end of the rotated file, then the new one from its beginning", function()
    collect.write(wtmp, login("alice"))
    local collector = kernel.new(env)
    collect.run(collector)
    collect.write(wtmp, login("before-rotation", NOW + 1), "ab")
    uv.fs_rename(wtmp, wtmp .. ".1")
    collect.write(wtmp, login("after", NOW + 2))
    env.now = NOW + 300
    assert.equal("before-rotation after", users(collect.run(collector)))
    assert.equal("", users(collect.run(collector)))
  end)

  it("starts again in a file that was truncated, even when it has grown past the old place", function()
    collect.write(wtmp, login("alice") .. login("bob"))
    local collector = kernel.new(env)
    collect.run(collector)
    env.now = NOW + 300
    collect.write(wtmp, login("carol", NOW + 1) .. login("dave", NOW + 2) .. login("erin", NOW + 3))
    assert.equal("carol dave erin", users(collect.run(collector)))
    env.now = NOW + 600
    collect.write(wtmp, "")
    assert.equal("", users(collect.run(collector)))
    collect.write(wtmp, login("frank", NOW + 601))
    assert.equal("frank", users(collect.run(collector)))
  end)

  it("reads a file that appears later from its beginning", function()
    local collector = kernel.new(env)
    assert.equal("", users(collect.run(collector)))
    env.now = NOW + 300
    collect.write(wtmp, login("first", NOW + 1))
    assert.equal("first", users(collect.run(collector)))
    assert.same({}, env.log.lines)
  end)

  it("reads only what the interval needs of a giant file", function()
    local chunk = login("old", NOW - 90000):rep(1000)
    for _ = 1, 20 do collect.write(wtmp, chunk, "ab") end
    collect.write(wtmp, login("new", NOW - 1), "ab")
    local original, bytes = uv.fs_read, 0
    uv.fs_read = function(fd, size, ...) bytes = bytes + size return original(fd, size, ...) end
    local metrics = collect.run(kernel.new(env))
    uv.fs_read = original
    assert.equal("new", users(metrics))
    assert.is_true(bytes < 200000)
  end)

  it("reads the newest MiB of a flood and says how much it skipped", function()
    collect.write(btmp, login("a"))
    local collector = kernel.new(env)
    collect.run(collector)
    local many = {}
    for i = 1, 4000 do many[i] = login("u" .. i) end
    collect.write(btmp, table.concat(many), "ab")
    local metrics = collect.run(collector)
    assert.is_true(#metrics > 2000 and #metrics < 4000)
    assert.equal("u4000", metrics[#metrics].tags.user)
    assert.equal("warning", env.log.lines[1].level)
    assert.equal(4000 - #metrics, env.log.lines[1].fields.records)
  end)

  it("sends one point for failures that would be one point in the database", function()
    collect.write(btmp, login("root"):rep(5) .. login("root", NOW + 1))
    assert.equal(2, #collect.run(kernel.new(env)))
  end)

  it("does not hang on a pipe in place of the file", function()
    os.execute("mkfifo " .. wtmp)
    assert.same({}, (collect.run(kernel.new(env))))
    assert.equal("warning", env.log.lines[1].level)
  end)

  it("warns once about a file that it may not read, and reads the other", function()
    uv.fs_mkdir(wtmp, 448)
    collect.write(btmp, login("root"))
    local collector = kernel.new(env)
    assert.equal("root", users(collect.run(collector)))
    collect.run(collector)
    assert.equal(1, #env.log.lines)
  end)

  it("goes on without a read that never returns, says so once, and sends late what it brings", function()
    collect.write(wtmp, login("alice"))
    local original, release = uv.fs_fstat, nil
    uv.fs_fstat = function(fd, callback)
      release = function() original(fd, callback) end
      return true
    end
    env.deadline = 0.05
    local collector = kernel.new(env)
    local metrics, err = collect.run(collector)
    assert.same({}, metrics)
    assert.equal("timeout", err.code)
    assert.same({}, (collect.run(collector)))
    assert.equal(1, #env.log.lines)
    uv.fs_fstat = original
    release()
    collect.wait(function() return #env.log.lines == 2 end)
    assert.equal("alice", users(collect.run(collector)))
  end)
end)
