local fake_mounts = require("fake_mounts")
local flat = require("kernels").flat
local select_mounts = require("agent.collect.mounts").select
local parse_mounts = require("host.procfs").parse_mounts

local function selected(text, rootfs)
  local points = {}
  for i, target in ipairs(select_mounts(parse_mounts(text), rootfs or "/")) do points[i] = target.mount end
  return points
end

local function write_allowed(line)
  return select_mounts(parse_mounts(line .. "\n"), "/")[1].write
end

describe("the mounts of group FS", function()
  it("are chosen by whole path components", function()
    assert.same({ "/", "/devices", "/library", "/network", "/run/docker/netns2" }, selected([[
/dev/a / ext4 rw 0 0
/dev/b /devices ext4 rw 0 0
/dev/c /dev ext4 rw 0 0
/dev/d /dev/shm ext4 rw 0 0
/dev/e /library ext4 rw 0 0
/dev/f /lib/modules ext4 rw 0 0
/dev/g /network ext4 rw 0 0
/dev/h /net/home ext4 rw 0 0
/dev/i /run/docker/netns/default ext4 rw 0 0
/dev/j /run/docker/netns2 ext4 rw 0 0
]]))
  end)

  it("are none without storage of their own", function()
    assert.same({ "/mnt/ssh", "/mnt/real" }, selected([[
none /a ext4 rw 0 0
nodev /b ext4 rw 0 0
tmpfs /c tmpfs rw 0 0
x /d cgroup2 rw 0 0
/dev/loop0 /snap/core squashfs ro 0 0
nsfs /run/ns nsfs rw 0 0
overlay /e overlay rw 0 0
lxcfs /var/lib/lxcfs fuse.lxcfs rw 0 0
systemd-1 /auto autofs rw 0 0
me@host:/ /mnt/ssh fuse.sshfs rw 0 0
zp/data /mnt/real zfs rw 0 0
]]))
  end)

  it("speak for one device by the shortest path, and only where nothing covers them", function()
    assert.same({ "/srv", "/other" }, selected([[
/dev/sda1 /var/lib/kubelet/pods/x ext4 rw 0 0
/dev/sda1 /srv ext4 rw 0 0
/dev/sda1 /srv/bind ext4 rw 0 0
/dev/sdb1 /other xfs rw 0 0
nas:/a /other nfs rw 0 0
]]))
  end)

  it("keep blanks and backslashes of their names", function()
    assert.same({ "/mnt/my docs", "/mnt/back\\slash" },
      selected("/dev/a /mnt/my\\040docs ext4 rw 0 0\n/dev/b /mnt/back\\134slash ext4 rw 0 0\n"))
  end)

  it("are looked for below rootfs", function()
    local list = select_mounts(parse_mounts("/dev/a / ext4 rw 0 0\n/dev/b /srv ext4 rw 0 0\n"), "/host/")
    assert.same({ "/host", "/host/srv" }, { list[1].path, list[2].path })
    assert.same({ "/", "/srv" }, { list[1].mount, list[2].mount })
  end)

  it("are written to only if local and mounted rw", function()
    assert.is_true(write_allowed("/dev/a /x ext4 rw,relatime 0 0"))
    assert.is_true(write_allowed("/dev/a /x xfs rw 0 0"))
    assert.is_false(write_allowed("/dev/a /x ext4 ro,relatime 0 0"))
    assert.is_false(write_allowed("/dev/a /x ext4 rwx 0 0"))
    for _, remote in ipairs({ "nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "afs", "lustre",
      "fuse.sshfs", "fuseblk", "fuse", "virtiofs", "unheard-of" }) do
      assert.is_false(write_allowed("/dev/a /x " .. remote .. " rw,relatime 0 0"), remote)
    end
  end)
end)

describe("collector FS", function()
  after_each(fake_mounts.close)

  local fake, collector, remove

  local function open(mounts, behaviour, rootfs)
    fake = fake_mounts.new(behaviour)
    collector, remove = fake_mounts.collector(fake, { mounts = mounts, rootfs = rootfs })
  end

  local function run()
    local metrics, err = fake_mounts.run(collector, fake)
    return flat(metrics), err
  end

  after_each(function() remove() end)

  it("gives kernel.files, then rw, then space, as statvfs has it", function()
    open("/dev/a / ext4 rw 0 0\n")
    local metrics = fake_mounts.run(collector, fake)
    local names = {}
    for i, metric in ipairs(metrics) do names[i] = metric.name end
    assert.same({ "kernel.files.max", "kernel.files.allocated", "kernel.files.allocated.percent",
      "kernel.files.left", "fs.files.rw", "fs.inodes.used.percent", "fs.space.used.percent", "fs.space.total",
      "fs.space.used", "fs.space.free", "fs.stuck" }, names)
    local values = flat(metrics)
    assert.equal(1, values["fs.files.rw mount=/"])
    assert.equal(51, values["fs.inodes.used.percent mount=/"]) -- 50.1, rounded up
    assert.equal(67, values["fs.space.used.percent mount=/"]) -- 100 * 512 / (512 + 256), rounded up
    assert.equal(1024, values["fs.space.total mount=/"])
    assert.equal(512, values["fs.space.used mount=/"])
    assert.equal(256, values["fs.space.free mount=/"])
    assert.equal(0, values["fs.stuck mount=/"])
  end)

  it("gives numbers for a file system without blocks, inodes or room", function()
    open("/dev/a /a ext4 rw 0 0\n/dev/b /b ext4 rw 0 0\n", {
      ["/a"] = fake_mounts.usage({ blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0 }),
      ["/b"] = fake_mounts.usage({ blocks = 100, bfree = 100, bavail = 0 }),
    })
    local values = run()
    assert.equal(0, values["fs.inodes.used.percent mount=/a"])
    assert.equal(0, values["fs.space.used.percent mount=/a"])
    assert.equal(0, values["fs.space.used.percent mount=/b"])
  end)

  it("is silent about mount points that are files or gone, and says 0 for broken ones", function()
    open("/dev/a /etc/hosts ext4 rw 0 0\n/dev/b /gone ext4 rw 0 0\n/dev/c /broken ext4 rw 0 0\n", {
      ["/etc/hosts"] = { error = "Not a directory", code = "ENOTDIR" },
      ["/gone"] = { error = "No such file", code = "ENOENT" },
      ["/broken"] = { error = "Input/output error", code = "EIO" },
    })
    local values = run()
    for key in pairs(values) do assert.is_nil(key:find("hosts") or key:find("gone"), key) end
    assert.equal(0, values["fs.files.rw mount=/broken"])
    assert.equal(0, values["fs.stuck mount=/broken"])
    assert.is_nil(values["fs.space.total mount=/broken"])
  end)

  it("gives up on a mount that hangs and measures all others", function()
    open("/dev/a / ext4 rw 0 0\nnas:/x /x nfs rw 0 0\n/dev/b /b ext4 rw 0 0\n", { ["/x"] = "hangs" })
    local values = run()
    assert.same({ { "/", "/x" }, { "/b" } }, fake.runs)
    assert.equal(1, values["fs.stuck mount=/x"])
    assert.equal(0, values["fs.stuck mount=/"])
    assert.equal(0, values["fs.stuck mount=/b"])
    assert.equal(1024, values["fs.space.total mount=/b"])
    assert.is_nil(values["fs.files.rw mount=/x"])
    assert.is_nil(fake.written["/x"])
  end)

  it("does not probe a stuck mount again before its process is gone", function()
    open("nas:/x /x nfs rw 0 0\n/dev/b /b ext4 rw 0 0\n", { ["/x"] = "stuck" })
    assert.equal(1, run()["fs.stuck mount=/x"])
    fake.runs = {}
    local values = run()
    assert.same({ { "/b" } }, fake.runs)
    assert.equal(1, values["fs.stuck mount=/x"])
    assert.equal(0, values["fs.stuck mount=/b"])
    fake.gone()
    fake.behaviour["/x"] = nil
    values = run()
    assert.equal(0, values["fs.stuck mount=/x"])
    assert.equal(1024, values["fs.space.total mount=/x"])
  end)

  it("goes on behind a mount on which the worker crashes", function()
    open("/dev/a /a ext4 rw 0 0\n/dev/b /b ext4 rw 0 0\n", { ["/a"] = "crashes" })
    local values = run()
    assert.is_nil(values["fs.stuck mount=/a"])
    assert.equal(0, values["fs.stuck mount=/b"])
  end)

  it("lets at most 16 processes hang, and still measures what answered or is local", function()
    local lines, behaviour = { "nas:/good /good nfs rw 0 0" }, {}
    for i = 1, 20 do
      lines[#lines + 1] = ("nas:/%d /nfs%d nfs rw 0 0"):format(i, i)
      behaviour["/nfs" .. i] = "stuck"
    end
    lines[#lines + 1] = "/dev/z /local ext4 rw 0 0"
    open(table.concat(lines, "\n") .. "\n", behaviour)
    local values = run()
    assert.equal(16, #fake.lingering)
    assert.equal(1, values["fs.stuck mount=/nfs16"])
    assert.is_nil(values["fs.stuck mount=/nfs17"])
    assert.equal(0, values["fs.stuck mount=/local"])
    assert.matches("too many probes hang /nfs20", table.concat(fake.logged, "\n"))
    fake.runs = {}
    values = run()
    assert.same({ { "/good", "/local" } }, fake.runs)
    assert.equal(0, values["fs.stuck mount=/good"])
  end)

  it("tags a mount with its path on the host when rootfs is another", function()
    open("/dev/a / ext4 rw 0 0\n/dev/b /srv ext4 rw 0 0\n", {}, "/host")
    local values = run()
    assert.same({ { "/host", "/host/srv" } }, fake.runs)
    assert.equal(0, values["fs.stuck mount=/srv"])
  end)

  it("answers a second run while one works with busy", function()
    open("/dev/a / ext4 rw 0 0\n")
    collector.run(function() end)
    local err
    collector.run(function(_, e) err = e end)
    assert.equal("busy", err.code)
    fake.work()
  end)

  it("says nothing any more after close", function()
    open("/dev/a / ext4 rw 0 0\n")
    local called = false
    collector.run(function() called = true end)
    collector.close()
    fake.work()
    assert.is_false(called)
  end)

  it("reports a worker that can't start, and works again afterwards", function()
    open("/dev/a / ext4 rw 0 0\n")
    local real = fake.worker.run
    fake.worker.run = function(_, _, _, callback) callback({ code = "spawn", message = "no" }) end
    local values, err = run()
    assert.equal("spawn", err.code)
    assert.is_number(values["kernel.files.max"])
    fake.worker.run = real
    assert.equal(0, run()["fs.stuck mount=/"])
  end)
end)
