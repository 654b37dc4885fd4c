local kernels = require("kernels")
local procfs = require("host.procfs")

local function names(list)
  local found = {}
  for i, record in ipairs(list) do
    found[i] = record.name
  end
  return found
end

local function temporary_root()
  local root = os.tmpname()
  os.remove(root)
  assert(require("luv").fs_mkdir(root, 448))
  return root
end

local function write(path, bytes)
  local file = assert(io.open(path, "w"))
  file:write(bytes)
  file:close()
end

describe("procfs reader", function()
  it("tells whole disks by name alike, with and without /sys/block", function()
    for _, name in ipairs(kernels.names) do
      local with = kernels.open(name)
      local without = procfs.open({ procfs = "tests/fixtures/" .. name .. "/proc", sysfs = "/nonexistent" })
      assert.are.same(names(with:disks()), names(without:disks()))
    end
  end)

  it("passes over what is cut off", function()
    local reader = kernels.open("hostile/truncated")
    local cpu = reader:cpu()
    assert.are.same({ total = 1000, idle = 800, cores = {} }, cpu)
    assert.are.same({ "sda" }, names(reader:disks()))
    assert.are.same({ "eth0" }, names(reader:netdev()))
    assert.are.same({ total = 1, running = 0, zombies = 0 }, reader:processes())
    for _, method in ipairs({ "loadavg", "meminfo", "sockstat", "files" }) do
      local value, message, code = reader[method](reader)
      assert.is_nil(value)
      assert.is_string(message)
      assert.are.equal("EINVAL", code)
    end
  end)

  it("makes no number of what is none", function()
    local reader = kernels.open("hostile/nonsense")
    for _, method in ipairs({ "cpu", "loadavg", "meminfo", "sockstat", "files" }) do
      assert.are.equal("EINVAL", select(3, reader[method](reader)), method)
    end
    assert.are.same({}, reader:disks())
    assert.are.same({}, reader:netdev())
    assert.are.same({ total = 0, running = 0, zombies = 0 }, reader:processes())
  end)

  it("takes from a huge line what it holds, or nothing", function()
    local reader = kernels.open("hostile/huge-line")
    local cpu = reader:cpu()
    assert.are.equal(8, cpu.total)
    assert.are.same({ { id = 1, total = 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12, idle = 8 } }, cpu.cores)
    assert.are.same({ "sdb" }, names(reader:disks()))
    assert.are.same({ "eth0" }, names(reader:netdev()))
    assert.are.equal(1024, reader:meminfo().total)
    assert.are.equal(512, reader:meminfo().free)
    assert.are.same({ used = 5 }, reader:sockstat())
    assert.are.equal(0, reader:processes().total)
    assert.is_nil(reader:loadavg())
    assert.is_nil(reader:files())
  end)

  it("names the file that is missing", function()
    local reader = kernels.open("hostile/missing")
    for _, method in ipairs({ "cpu", "loadavg", "disks", "meminfo", "netdev", "sockstat", "files" }) do
      local value, message, code = reader[method](reader)
      assert.is_nil(value)
      assert.are.equal("ENOENT", code)
      assert.truthy(message:find("no such file", 1, true))
    end
    assert.are.same({ total = 0, running = 0, zombies = 0 }, reader:processes())
    assert.are.equal(0, reader:link_speed("eth0"))
  end)

  it("refuses a giant file, and reads it once it is small", function()
    local root = temporary_root()
    local line = "cpu  1 2 3 4\n"
    write(root .. "/stat", line:rep(5 * 1024 * 1024 / #line))
    local reader = assert(procfs.open({ procfs = root }))
    assert.are.equal("EFBIG", select(3, reader:cpu()))
    write(root .. "/stat", line)
    assert.are.equal(10, reader:cpu().total)
    os.remove(root .. "/stat")
    assert.are.equal("ENOENT", select(3, reader:cpu()))
    os.remove(root)
  end)

  it("knows an unknown speed and keeps names inside the folder", function()
    local reader = kernels.open("linux-2.6.32")
    assert.are.equal(1000, reader:link_speed("eth0"))
    assert.are.equal(0, reader:link_speed("eth1"))
    assert.are.equal(0, reader:link_speed("lo"))
    assert.are.equal(0, kernels.open("linux-3.10"):link_speed("eth0")) -- -1
    for _, name in ipairs({ "", "..", "../net/eth0", "eth0/../eth0", ("x"):rep(1000) }) do
      assert.are.equal(0, reader:link_speed(name))
    end
  end)

  it("reads the running kernel, twice alike", function()
    local reader = assert(procfs.open({}))
    for _ = 1, 2 do
      local cpu = assert(reader:cpu())
      assert.is_true(#cpu.cores >= 1)
      assert.is_true(cpu.total >= cpu.idle)
      assert.is_true(reader:meminfo().total > 0)
      assert.is_true(reader:files().allocated > 0)
      assert.is_table(reader:disks())
      assert.is_true(#reader:netdev() >= 1)
      assert.is_true(reader:loadavg() >= 0)
      assert.are.equal(require("luv").os_gethostname(), reader:hostname())
    end
  end)

  it("counts children as zombies from their end until they are reaped", function()
    local uv = require("luv")
    local reader = assert(procfs.open({}))
    local function await(condition, turn)
      local deadline = uv.hrtime() + 5e9
      while not condition(reader:processes()) do
        assert.is_true(uv.hrtime() < deadline)
        turn()
      end
    end
    local children = 30 -- more than other programs may leave about at the time
    for _ = 1, children do
      local child
      child = assert(uv.spawn("/bin/true", {}, function() child:close() end))
    end
    -- The loop, which would reap them, does not run meanwhile.
    await(function(counts) return counts.zombies >= children end, function() end)
    await(function(counts) return counts.zombies < children end, function() uv.run("nowait") end)
    assert.is_true(reader:processes().running >= 1)
    uv.run()
    reader:close()
  end)

  it("keeps no more descriptors than it says, and none after close", function()
    local function open_descriptors()
      local n = 0
      local uv = require("luv")
      for _ in uv.fs_scandir_next, uv.fs_scandir("/proc/self/fd") do n = n + 1 end
      return n
    end
    collectgarbage()
    local before = open_descriptors()
    local reader = assert(procfs.open({}))
    for _ = 1, 3 do
      reader:processes()
      reader:cpu()
      reader:netdev()
    end
    assert.is_true(open_descriptors() <= before + 2 + 8 + 256)
    reader:close()
    reader:close()
    assert.are.equal(before, open_descriptors())
    assert.has_error(function() reader:cpu() end)
  end)

  it("answers for a root that is none", function()
    local reader, message, code = procfs.open({ procfs = "/nonexistent" })
    assert.is_nil(reader)
    assert.truthy(message:find("/nonexistent", 1, true))
    assert.are.equal("ENOENT", code)
    assert.has_error(function() procfs.open("/proc") end)
  end)
end)

describe("procfs.parse_mounts", function()
  local function mounts(name)
    local file = assert(io.open("tests/fixtures/" .. name .. "/proc/mounts"))
    local list = procfs.parse_mounts(file:read("*a"))
    file:close()
    local by_point = {}
    for _, mount in ipairs(list) do by_point[mount.mount] = mount end
    return by_point, #list
  end

  it("decodes blanks, tabs, newlines and backslashes", function()
    local old = mounts("linux-2.6.32")["/mnt/my docs"]
    assert.are.equal("nas1:/export/my docs", old.source)
    assert.are.equal("nfs", old.type)
    assert.are.equal("rw,vers=3,rsize=1048576,addr=10.1.2.9", old.options)
    assert.is_table(mounts("linux-3.10")["/srv/tab\there"])
    assert.are.equal("//nas/back\\slash", mounts("linux-4.18")["/mnt/back\\slash"].source)
    assert.is_table(mounts("linux-6.1")["/srv/new\nline"])
  end)

  it("passes over lines that are no mounts and leaves odd escapes alone", function()
    local by_point, n = mounts("hostile/nonsense")
    assert.are.equal(3, n)
    assert.is_table(by_point["/data\\0"])
    assert.is_table(by_point["/nul\\000x"])
    assert.is_table(by_point["/big\\777"])
    assert.are.equal(1, select(2, mounts("hostile/truncated")))
    assert.are.same({}, procfs.parse_mounts(""))
    assert.are.equal("", procfs.parse_mounts(" /mnt tmpfs rw 0 0\n")[1].source)
  end)

  it("takes lines of any length", function()
    local by_point, n = mounts("hostile/huge-line")
    assert.are.equal(2, n)
    assert.is_table(by_point["/" .. (" "):rep(16384)])
    assert.is_table(by_point["/b"])
  end)
end)
