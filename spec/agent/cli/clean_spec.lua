local clean = require("agent.cli.clean")
local program = require("program")
local uv = require("luv")

describe("agent stop -m clean", function()
  it("refuses what could be more than the agent's own directory", function()
    local dangerous = { "/", "//", "/usr", "/var", "/home", "/home/someone", "/usr/local", "/usr/local/", "/usr//local",
      "/data", "/var/lib", "/var/log", "/etc/agent", "/tmp", "/root", "/dev/shm", "/proc/1", "/sys/fs", "run/state",
      "", ".", "..", "/var/lib/../x", "/var/lib/agent/..", "/var/./agent", "/usr/lib" }
    for _, path in ipairs(dangerous) do assert.is_string(clean.danger(path), path) end
  end)

  it("refuses a path that leads elsewhere, and one that holds the home directory", function()
    assert.is_string(clean.danger("/opt/agent", "/usr/local"))
    assert.is_string(clean.danger("/opt/agent", "/usr"))
    assert.is_string(clean.danger("/srv/homes", nil, "/srv/homes/me"))
  end)

  it("takes the directories that the agent is usually given", function()
    for _, path in ipairs({ "/usr/local/agent-plugins", "/var/lib/agent", "/var/lib/agent/", "/opt/agent/plugins",
      "/home/me/agent", "/srv/agent" }) do
      assert.is_nil(clean.danger(path, nil, "/root"), path)
    end
  end)

  local folder
  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function remove(paths)
    local err, removed, done
    clean.remove(paths, function(e, r) err, removed, done = e, r, true end)
    program.wait("the removal", 10, function() return done end)
    return err, removed
  end

  it("removes directories with all below, and what a link in them points to stays", function()
    assert(uv.fs_mkdir(folder .. "/plugins", 493))
    assert(uv.fs_mkdir(folder .. "/plugins/deep", 493))
    assert(uv.fs_mkdir(folder .. "/elsewhere", 493))
    program.write(folder .. "/plugins/deep/file", "x")
    program.write(folder .. "/elsewhere/keep", "x")
    assert(uv.fs_symlink(folder .. "/elsewhere", folder .. "/plugins/link"))
    local err, removed = remove({ folder .. "/plugins/", folder .. "/not-there" })
    assert.is_nil(err)
    assert.same({ folder .. "/plugins" }, removed)
    assert.is_nil(uv.fs_stat(folder .. "/plugins"))
    assert.is_table(uv.fs_stat(folder .. "/elsewhere/keep"))
  end)

  it("removes nothing at all when one of them is refused, a link for instance", function()
    assert(uv.fs_mkdir(folder .. "/state", 493))
    assert(uv.fs_mkdir(folder .. "/elsewhere", 493))
    assert(uv.fs_symlink(folder .. "/elsewhere", folder .. "/plugins"))
    local err, removed = remove({ folder .. "/state", folder .. "/plugins/" })
    assert.equal("refused", err.code)
    assert.truthy(err.message:find("no directory but a link", 1, true))
    assert.same({}, removed)
    assert.is_table(uv.fs_stat(folder .. "/state"))
    assert.is_table(uv.fs_stat(folder .. "/elsewhere"))
  end)
end)
