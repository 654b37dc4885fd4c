-- Plugins from a real sshd, which knows us by a key and which we know by known_hosts.

local git = require("git_server")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local SSHD, PRIVSEP = "/usr/sbin/sshd", "/run/sshd"
local NS = "web.shop.loda"

local CONF = [[
ListenAddress 127.0.0.1:PORT
HostKey FOLDER/host_ed25519
HostKey FOLDER/host_rsa
HostKey FOLDER/host_ecdsa
AuthorizedKeysFile FOLDER/known.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
]]

describe("a plugin from an ssh server", function()
  local folder, sshd, port, hello, commit, made

  setup(function()
    if not uv.fs_stat(SSHD) or uv.os_get_passwd().shell:find("nologin") then return end
    folder = program.folder()
    made = uv.getuid() == 0 and uv.fs_mkdir(PRIVSEP, 493)
    git.sh(folder, [[mkdir ops && for type in ed25519 rsa ecdsa; do ssh-keygen -q -t $type -N "" -f host_$type; done
      for name in known stranger; do ssh-keygen -q -t ed25519 -N "" -f $name; done]])
    hello = git.repository(folder, "ops/hello")
    commit = hello:commit({ ["plugin.sh"] = "echo []\n" })
    port = loop.free_port()
    program.write(folder .. "/sshd.conf", (CONF:gsub("FOLDER", folder):gsub("PORT", port)))
    sshd = program.spawn(SSHD, { "-D", "-e", "-f", folder .. "/sshd.conf" })
    git.wait_for(port, sshd)
  end)
  teardown(function()
    if not folder then return end
    sshd.kill("sigterm")
    sshd.wait(20)
    if made then uv.fs_rmdir(PRIVSEP) end
    program.remove(folder)
  end)

  local function missing() pending("git over ssh: openssh-server is not installed, or we have no shell") end

  -- What comes of a clone that trusts these lines of known_hosts.
  local function clone(hosts, key, how)
    git.sh(folder, "rm -rf plugins")
    program.write(folder .. "/known_hosts", hosts)
    local checkout = git.checkout(folder, { gitkey = key and folder .. "/" .. key or "",
      gitknownhosts = how ~= "no file" and folder .. "/known_hosts" or "",
      git = ("ssh://%s@127.0.0.1:%d%s/%%s.git"):format(uv.os_get_passwd().username, port, folder) })
    local tree, err = checkout:ensure(git.record(NS, "hello"))
    return tree, err, checkout
  end

  local function public(name) return program.read(("%s/%s.pub"):format(folder, name)):match("^%S+ %S+") end

  local function host_line(name) return ("[127.0.0.1]:%d %s\n"):format(port, public(name)) end

  it("comes from a host that known_hosts knows by any of its keys", function()
    if not folder then return missing() end
    local all = host_line("host_rsa") .. host_line("host_ecdsa") .. host_line("host_ed25519")
    for _, hosts in ipairs({ host_line("host_ed25519"), host_line("host_ecdsa"), all }) do
      local tree, err = clone(hosts, "known")
      assert.is_nil(err and err.message)
      assert.equal(commit, tree.commit)
    end
  end)

  it("comes from a host that known_hosts names by its hash only", function()
    if not folder then return missing() end
    program.write(folder .. "/hashed", host_line("host_ed25519"))
    git.sh(folder, "ssh-keygen -q -H -f hashed")
    local tree, err = clone(program.read(folder .. "/hashed"), "known")
    assert.is_nil(err and err.message)
    assert.equal(commit, tree.commit)
  end)

  it("is updated", function()
    if not folder then return missing() end
    local _, _, checkout = clone(host_line("host_ed25519"), "known")
    commit = hello:commit({ news = "1" })
    local tree, err = checkout:update(git.record(NS, "hello"))
    assert.is_nil(err and err.message)
    assert.equal(commit, tree.commit)
  end)

  it("does not come from a host with another key, on another port, or that is unknown", function()
    if not folder then return missing() end
    local forged = ("[127.0.0.1]:%d %s\n"):format(port, public("stranger"))
    local elsewhere = ("[127.0.0.1]:%d %s\n"):format(port == 1 and 2 or 1, public("host_ed25519"))
    for _, hosts in ipairs({ forged, elsewhere, "" }) do
      local tree, err = clone(hosts, "known")
      assert.is_nil(tree)
      assert.equal("host_key", err.code, err.message)
      assert.matches("127.0.0.1", err.message)
    end
    local tree, err = clone("", "known", "no file")
    assert.is_nil(tree)
    assert.equal("host_key", err.code, err.message)
  end)

  it("does not come with a key that the server doesn't know, or without any", function()
    if not folder then return missing() end
    for _, key in ipairs({ "stranger", false }) do
      local tree, err = clone(host_line("host_ed25519"), key)
      assert.is_nil(tree)
      assert.equal("auth", err.code, err.message)
      assert.matches("^ssh://[^@]+@127.0.0.1:%d+/.*hello.git: ", err.message)
    end
  end)
end)
