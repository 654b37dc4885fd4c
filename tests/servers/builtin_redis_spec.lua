-- builtin/redis.lua against Debian's Redis.

local loop = require("loop")
local program = require("program")
local server = require("shipped_server")
local uv = require("luv")

local REDIS = "/usr/bin/redis-server"

describe("builtin redis with a real Redis", function()
  local folder, redis, replica, port, socket

  local function cli(...)
    local child = program.spawn("/usr/bin/redis-cli", { "-s", socket, ... })
    child.wait(20)
    return child.stdout
  end

  setup(function()
    if not uv.fs_stat(REDIS) then return end
    folder = server.folder()
    port, socket = loop.free_port(), folder .. "/redis.sock"
    redis = server.start(REDIS, { "--port", tostring(port), "--bind", "127.0.0.1", "--unixsocket", socket,
      "--unixsocketperm", "777", "--dir", folder, "--save", "", "--databases", "4" },
      function() return server.listens(socket) and server.listens(port) end)
  end)

  teardown(function()
    server.stop(replica)
    server.stop(redis)
    if folder then program.remove(folder) end
  end)

  local function test(name, fn)
    it(name, function()
      if not folder then return pending("redis-server is not installed") end
      fn()
    end)
  end

  test("tells keys of each database, and the rates of who works with it", function()
    cli("set", "a", "1")
    cli("set", "b", "1", "ex", "1000")
    cli("-n", "3", "set", "c", "1")
    local busy = program.spawn("/usr/bin/redis-cli", { "-s", socket, "-r", "-1", "-i", "0.02", "mget", "a", "none" })
    local ok, values = pcall(server.good, "redis", { port = port }, 3)
    busy.kill()
    busy.wait()
    assert(ok, values)
    assert.same({ 2, 1, 1, 3, 1 }, { values["db.keys{db=0}"], values["db.expires{db=0}"], values["db.keys{db=3}"],
      values.keys, values.master })
    assert.is_true(values.commands > 2 and values.hits > 1 and values.misses > 1)
    assert.is_true(values["hit.ratio"] > 20 and values["hit.ratio"] < 80, tostring(values["hit.ratio"]))
    assert.is_true(values["net.in"] > 0 and values["net.out"] > 0 and values["memory.used"] > 100000)
    assert.is_true(values["clients.connected"] >= 1 and values.uptime >= 0)
  end)

  test("comes by the unix socket, and is published by a running agent", function()
    assert.equal(1, server.good("redis", { socket = socket }).master)
    local values = server.published("redis", { socket = socket },
      { "PLUGIN.redis.clients.connected", "PLUGIN.redis.commands", "plugin.redis" })
    assert.is_true(values["PLUGIN.redis.commands"] > 0)
    assert.equal(0, values["plugin.redis"])
  end)

  test("logs in with a password, of a file too, or as a user of the ACL", function()
    cli("config", "set", "requirepass", "s3cret pass")
    program.write(folder .. "/password", "s3cret pass\n")
    local asked = server.bad("redis", { port = port })
    local wrong = server.bad("redis", { port = port, password = "other" })
    local by_file = server.good("redis", { port = port, password_file = folder .. "/password" })
    local by_text = server.good("redis", { socket = socket, password = "s3cret pass" })
    cli("-a", "s3cret pass", "acl", "setuser", "watcher", "on", ">w", "+info")
    local by_user = server.good("redis", { socket = socket, user = "watcher", password = "w" })
    cli("-a", "s3cret pass", "acl", "setuser", "watcher", "-info")
    local denied = server.bad("redis", { socket = socket, user = "watcher", password = "w" })
    cli("-a", "s3cret pass", "config", "set", "requirepass", "")
    assert.match("INFO: the server says NOAUTH", asked)
    assert.match("AUTH: the server says WRONGPASS", wrong)
    assert.same({ 1, 1, 1 }, { by_file.master, by_text.master, by_user.master })
    assert.match("INFO: the server says NOPERM", denied)
  end)

  test("tells replication from both ends", function()
    local other = loop.free_port()
    uv.fs_mkdir(folder .. "/replica", 493)
    replica = server.start(REDIS, { "--port", tostring(other), "--bind", "127.0.0.1", "--dir", folder .. "/replica",
      "--save", "", "--replicaof", "127.0.0.1 " .. port, "--repl-diskless-sync-delay", "0" },
      function() return server.listens(other) end)
    program.wait("the replica to be in step", 30, function() return cli("info"):find("state=online", 1, true) end)
    assert.equal(1, server.good("redis", { port = port }).replicas)
    local values = server.good("redis", { port = other })
    assert.same({ 0, 1 }, { values.master, values["replication.link.up"] })
    assert.is_number(values["replication.last.seconds"])
    cli("config", "set", "requirepass", "x")
    cli("-a", "x", "client", "kill", "type", "replica")
    program.wait("the link to be down", 30, function()
      values = server.good("redis", { port = other })
      return values["replication.link.up"] == 0
    end)
    cli("-a", "x", "config", "set", "requirepass", "")
    assert.is_number(values["replication.link.down.seconds"])
    server.stop(replica)
    replica = nil
  end)

  test("says that one does not answer, or is not there", function()
    redis.kill("sigstop")
    local why = server.bad("redis", { port = port, timeout = 0.5 })
    redis.kill("sigcont")
    assert.match("INFO: .*nothing within 0.5 s", why)
    assert.match("ECONNREFUSED", server.bad("redis", { port = loop.free_port() }))
    assert.match("ENOENT", server.bad("redis", { socket = folder .. "/none" }))
  end)
end)
