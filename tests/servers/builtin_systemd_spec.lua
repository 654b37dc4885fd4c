-- builtin/systemd.lua with a real systemd, which is PID 1 of namespaces of its own.

local command = require("builtin_command")
local program = require("program")
local shipped = require("shipped")
local uv = require("luv")

local SYSTEMD = "/usr/lib/systemd/systemd"

-- What the first process of the namespaces does: mounts of its own, then it becomes systemd.
local BOOT = [[
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs run /run || exit 9
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 9
export container=test SYSTEMD_UNIT_PATH="$1/units"
exec /usr/lib/systemd/systemd --system --unit=demo.target --log-target=console --show-status=0
]]

-- In a group of its own, so that what systemd makes is below that.
local ENTER = [[echo $$ >"$1/cgroup.procs" && shift && exec "$@"]]

describe("builtin systemd", function()
  local folder, boot, conf, group

  local function unit(name, text) program.write(folder .. "/units/" .. name, text) end

  before_each(function()
    folder = program.folder()
    uv.fs_chmod(folder, 493)
    uv.fs_mkdir(folder .. "/units", 493)
    unit("demo.target", "[Unit]\nDescription=demo\nWants=good.service bad.service\n")
    unit("good.service", "[Unit]\nDefaultDependencies=no\n[Service]\nCPUAccounting=yes\nExecStart=/bin/sleep 1000\n")
    unit("bad.service", "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/false\n")
    -- Without a D-Bus daemon only root is answered, by systemd's own socket.
    conf = program.configure(folder, { builtin = { user = "root" } })
  end)
  after_each(function()
    if boot then
      boot.kill()
      boot.wait()
    end
    boot = nil
    if group then
      program.wait("the end of its groups", 10, function()
        os.execute(("find '%s' -depth -type d -exec rmdir {} + 2>/dev/null"):format(group))
        return not uv.fs_stat(group)
      end)
    end
    group = nil
    program.remove(folder)
  end)

  local function child_of(pid)
    local text = program.read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""
    local child = text:match("^(%d+)")
    local name = child and program.read(("/proc/%s/comm"):format(child))
    return name == "systemd\n" and child or nil
  end

  local function start()
    if not uv.fs_stat(SYSTEMD) then return nil, "it is not installed" end
    local flags = { "-p", "-m", "-f", "-C", "-u", "-i", "--kill-child" }
    local probe = { unpack(flags) }
    probe[#probe + 1] = "/bin/true"
    local can, why = command.can_unshare(unpack(probe))
    if not can then return nil, why end
    local root = shipped.load("cgroup").parsers.root(program.read("/proc/self/mountinfo"))
    if not root then return nil, "no cgroup2 is mounted here" end
    group = ("%s/agent-test-%d"):format(root, uv.os_getpid())
    assert(uv.fs_mkdir(group, 493))
    local argv = { "-c", ENTER, "sh", group, "/usr/bin/unshare", unpack(flags) }
    for _, word in ipairs({ "/bin/sh", "-c", BOOT, "sh", folder }) do argv[#argv + 1] = word end
    boot = program.spawn("/bin/sh", argv)
    local pid = program.wait("systemd", 20, function() return boot.code and 0 or child_of(boot.pid) end)
    if boot.code then return nil, "it does not start in namespaces here: " .. boot.output end
    return { "/usr/bin/nsenter", "-t", pid, "-m", "-p" }
  end

  it("tells units that run, that failed, and that are not there", function()
    local before, why = start()
    if not before then return pending("builtin systemd: " .. why) end
    local values
    program.wait("the units to be started", 30, function()
      assert(not boot.code, boot.output)
      values = command.run("systemd", { units = "good.service, bad.service, gone.service" },
        { before = before, conf = conf, times = 2 }).values
      return values["failed{unit=bad.service}"] == 1 and values["active{unit=good.service}"] == 1
    end)
    assert.equal("active/running", values["state{unit=good.service}"])
    assert.equal("failed/failed", values["state{unit=bad.service}"])
    assert.equal(1, values["exit_status{unit=bad.service}"])
    assert.equal(0, values["loaded{unit=gone.service}"])
    assert.equal(0, values["restarts{unit=good.service}"])
    local cpu = values["cpu{unit=good.service}"] -- not where systemd can't account for it, as with cgroups v1 beside
    assert.is_true(cpu == nil or cpu >= 0)
    assert.is_true(values["uptime{unit=good.service}"] >= 0 and values["uptime{unit=good.service}"] < 120)
    assert.equal(1, values["units.failed"])
    assert.equal(0, values["system.running"])
    local all = command.good("systemd", { units = "*.service" }, { before = before, conf = conf })
    assert.equal(1, all["active{unit=good.service}"])
  end)

  it("says so where there is no systemd", function()
    if uv.fs_stat("/run/systemd/system") then return pending("builtin systemd without systemd: here it runs") end
    if not uv.fs_stat("/usr/bin/systemctl") then return pending("builtin systemd: systemctl is not installed") end
    local outcome = command.run("systemd", {})
    assert.equal(1, outcome.code)
    assert.match("systemctl: System has not been booted with systemd", outcome.output, 1, true)
  end)
end)
