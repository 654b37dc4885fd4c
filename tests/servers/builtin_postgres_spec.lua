-- builtin/postgres.lua against Debian's PostgreSQL: a primary and a standby of the test's own.

local loop = require("loop")
local program = require("program")
local server = require("shipped_server")
local uv = require("luv")

-- The newest of /usr/lib/postgresql/VERSION/bin.
local function programs()
  local newest
  local entries = uv.fs_scandir("/usr/lib/postgresql")
  for version in function() return entries and uv.fs_scandir_next(entries) end do
    if tonumber(version) and uv.fs_stat(("/usr/lib/postgresql/%s/bin/initdb"):format(version)) then
      newest = math.max(newest or 0, tonumber(version))
    end
  end
  return newest and ("/usr/lib/postgresql/%d/bin/"):format(newest)
end

describe("builtin postgres with a real PostgreSQL", function()
  local BIN = programs()
  local folder, primary, standby, port, sessions

  -- As postgres where we are root: the server insists on it.
  local function command(path, args)
    if uv.getuid() ~= 0 then return path, args end
    local all = { "--reuid=postgres", "--regid=postgres", "--clear-groups", path }
    for _, word in ipairs(args) do all[#all + 1] = word end
    return "/usr/bin/setpriv", all
  end

  local function run(path, ...)
    local child = program.spawn(command(path, { ... }))
    child.wait(60)
    assert(child.code == 0, child.output)
    return child.stdout
  end

  local function start(data, listen)
    local path, args = command(BIN .. "postgres", { "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", tostring(listen),
      "-c", "fsync=off", "-c", "max_connections=30" })
    return server.start(path, args, function(child)
      return child.output:find("ready to accept", 1, true) and server.listens(listen)
    end)
  end

  -- A session of the superuser; its arguments are psql's.
  local function session(database, ...)
    return program.spawn("/usr/bin/psql", { "-X", "-q", "-h", folder, "-p", tostring(port), "-U", "postgres", "-d",
      database, ... }, { "PGPASSWORD=hidden", "PATH=/usr/bin:/bin" })
  end

  local function sql(text, database)
    local child = session(database or "shop", "-c", text)
    child.wait(30)
    assert(child.code == 0, child.output)
  end

  local function params(more)
    local all = { host = folder, port = port, user = "monitor", password = "m0nitor" }
    for key, value in pairs(more or {}) do all[key] = value end
    return all
  end

  setup(function()
    if not BIN or not uv.fs_stat("/usr/bin/psql") then return end
    folder, sessions = server.folder(), {}
    uv.fs_chmod(folder, 511) -- 0777: the server's user writes its socket there
    port = loop.free_port()
    program.write(folder .. "/password", "hidden\n")
    run(BIN .. "initdb", "-D", folder .. "/data", "-U", "postgres", "--pwfile=" .. folder .. "/password",
      "--auth=scram-sha-256", "--no-sync", "--locale=C", "--encoding=UTF8")
    primary = start(folder .. "/data", port)
    sql("CREATE DATABASE shop", "postgres")
    sql([[CREATE ROLE monitor LOGIN PASSWORD 'm0nitor' IN ROLE pg_monitor]])
    sql([[CREATE ROLE nobody LOGIN PASSWORD 'n0body']])
    sql([[CREATE DATABASE "o'dd ""name"", {}" TEMPLATE template0]])
    sql([[CREATE TABLE items (n int); INSERT INTO items SELECT generate_series(1, 1000)]])
  end)

  -- A server goes on with what a client that was killed has asked for.
  after_each(function()
    if not sessions or not sessions[1] then return end
    sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
      .. "AND backend_type = 'client backend'")
    for i = #sessions, 1, -1 do
      sessions[i].wait(20)
      sessions[i] = nil
    end
  end)

  teardown(function()
    if not folder then return end
    server.stop(standby, "sigint")
    server.stop(primary, "sigint")
    program.remove(folder)
  end)

  local function test(name, fn)
    it(name, function()
      if not folder then return pending("PostgreSQL is not installed") end
      fn()
    end)
  end

  test("tells sessions, and what they wait for", function()
    sessions[1] = session("shop", "-c", "BEGIN; LOCK TABLE items; SELECT pg_sleep(60)")
    sessions[2] = session("shop", "-c", "BEGIN; LOCK TABLE items; SELECT pg_sleep(60)")
    local values = program.wait("the two sessions", 30, function()
      local found = server.good("postgres", params())
      return found["connections.waiting"] == 1 and found
    end)
    assert.same({ 2, 2, 0, 30, 0 }, { values.connections, values["connections.active"], values["connections.idle"],
      values["connections.max"], values.standby })
    assert.is_true(values["transaction.longest.seconds"] > 0)
    assert.is_true(values.uptime > 0)
  end)

  test("tells each database, with the rates of who works in it, and odd names as they are", function()
    program.write(folder .. "/work.sql", "INSERT INTO items SELECT count(*) FROM items \\watch 0.05\n")
    sessions[1] = session("shop", "-f", folder .. "/work.sql")
    -- A session tells its statistics about once a second.
    local values = program.wait("rates", 30, function()
      local found = server.good("postgres", params(), 4)
      return (found["db.commits{db=shop}"] or 0) > 0 and (found["db.rows.inserted{db=shop}"] or 0) > 0 and found
    end)
    assert.is_true(values["db.rows.returned{db=shop}"] > 0 and values["db.blocks.hit{db=shop}"] > 0)
    assert.is_true(values["db.hit.ratio{db=shop}"] > 50)
    assert.is_true(values["db.size{db=shop}"] > 1e6 and values["db.age{db=shop}"] > 0)
    assert.same({ 0, 0 }, { values["db.deadlocks{db=shop}"], values["db.temp.bytes{db=shop}"] })
    local odd
    for key in pairs(values) do odd = odd or key:find([[db.size{db=o'dd "name", {}}]], 1, true) end
    assert.is_truthy(odd)
    assert.is_nil(server.good("postgres", params({ sizes = false }))["db.size{db=shop}"])
  end)

  test("tells a role without pg_monitor only what that may see", function()
    sessions[1] = session("shop", "-c", "SELECT pg_sleep(60)")
    program.wait("the session", 30, function() return server.good("postgres", params()).connections == 1 end)
    local values = server.good("postgres", params({ user = "nobody", password = "n0body" }))
    assert.equal(1, values.connections)
    assert.same({}, { values["connections.active"], values["connections.idle"], values["transaction.longest.seconds"] })
    assert.is_true(values["db.size{db=shop}"] > 1e6)
  end)

  test("takes the password of a file, comes by TCP, and is published by a running agent", function()
    local file = folder .. "/pgpass"
    program.write(file, ("127.0.0.1:%d:*:monitor:m0nitor\n"):format(port))
    uv.fs_chmod(file, 384) -- 0600
    if uv.getuid() == 0 then
      local child = program.spawn("/bin/chown", { "nobody", file })
      assert(child.wait(10) == 0, child.output)
    end
    local given = { host = "127.0.0.1", port = port, user = "monitor", password_file = file }
    assert.equal(30, server.good("postgres", given)["connections.max"])
    local values = server.published("postgres", given, { "PLUGIN.postgres.uptime", "PLUGIN.postgres.db.commits",
      "plugin.postgres" })
    assert.equal(0, values["plugin.postgres"])
  end)

  test("tells replication from both ends", function()
    local other = loop.free_port()
    program.write(folder .. "/owner", ("%s:%d:*:postgres:hidden\n"):format(folder, port))
    uv.fs_chmod(folder .. "/owner", 384)
    if uv.getuid() == 0 then program.spawn("/bin/chown", { "postgres", folder .. "/owner" }).wait(10) end
    run("/usr/bin/env", "PGPASSFILE=" .. folder .. "/owner", BIN .. "pg_basebackup", "-D", folder .. "/copy", "-h",
      folder, "-p", tostring(port), "-U", "postgres", "-w", "-R", "-X", "stream", "-c", "fast", "--no-sync")
    standby = start(folder .. "/copy", other)
    local lag = program.wait("the standby to be in step", 30, function()
      return server.good("postgres", params())["replication.lag.bytes{address=local replica=walreceiver}"]
    end)
    assert.is_true(lag >= 0)
    assert.equal(1, server.good("postgres", params()).replicas)
    sql("INSERT INTO items VALUES (2)")
    local values = program.wait("something to be replayed", 30, function()
      local found = server.good("postgres", params({ port = other }))
      return found["replication.lag.seconds"] and found
    end)
    assert.equal(1, values.standby)
    assert.is_nil(values.replicas)
    assert.is_nil(server.good("postgres", params({ user = "nobody", password = "n0body" }))
      ["replication.lag.bytes{address=local replica=walreceiver}"])
  end)

  test("says why there is nothing to tell", function()
    assert.match("no password supplied", server.bad("postgres", params({ password = "" })))
    assert.match("password authentication failed", server.bad("postgres", params({ password = "wrong" })))
    assert.match('database "none" does not exist', server.bad("postgres", params({ database = "none" })))
    assert.match("Connection refused", server.bad("postgres", params({ host = "127.0.0.1", port = loop.free_port() })))
    assert.match('database "host=evil" does not exist', server.bad("postgres", params({ database = "host=evil" })))
    local silent = uv.new_tcp()
    silent:bind("127.0.0.1", 0)
    silent:listen(8, function() end)
    local why = server.bad("postgres", params({ host = "127.0.0.1", port = silent:getsockname().port, timeout = 2 }))
    silent:close()
    assert.match("psql", why)
    assert.is_true(why:find("timeout expired", 1, true) ~= nil or why:find("no end after 2 s", 1, true) ~= nil, why)
  end)
end)
