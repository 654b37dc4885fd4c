-- builtin/postgres.lua: what psql is given, and what is made of its output.

local cjson = require("cjson")
local shipped = require("shipped")

local function found(fields)
  local all = {
    uptime = 100.5, started = 1700000000.25, standby = false, max = 100, lag = cjson.null,
    sessions = { all = 5, active = 1, idle = 3, in_transaction = 1, waiting = 0, longest = 2.5 },
    replicas = { { name = "walreceiver", address = "10.0.0.2", bytes = 1024 } },
    databases = { { name = "shop", connections = 4, commits = 100, rollbacks = 1, blks_read = 10, blks_hit = 90,
      tup_returned = 5, tup_fetched = 4, tup_inserted = 3, tup_updated = 2, tup_deleted = 1, temp_bytes = 0,
      deadlocks = 0, conflicts = 0, age = 1000, size = 7000000 } },
  }
  for key, value in pairs(fields or {}) do all[key] = value end
  return cjson.encode(all) .. "\n"
end

describe("builtin postgres", function()
  local postgres = shipped.load("postgres")

  local function run(given, result, ctx)
    ctx = ctx or shipped.ctx()
    ctx.asked = {}
    function ctx.exec(options)
      local copy = {}
      for key, value in pairs(options) do copy[key] = value end
      ctx.asked[#ctx.asked + 1] = copy
      if result.error then return nil, result.why, result.error end
      return { code = result.code or 0, stdout = result.stdout or "", stderr = result.stderr or "",
        timed_out = result.timed_out or false, truncated = result.truncated or false }
    end
    local metrics, why = postgres.run(shipped.params(postgres, given), ctx)
    return metrics, why, ctx
  end

  it("tells sessions, databases and replicas, rates from the second run on", function()
    local metrics, why, ctx = run({}, { stdout = found() })
    assert(metrics, why)
    local function value(name, tags) return shipped.value(metrics, name, tags) end
    assert.same({ 100.5, 5, 100, 2.5, 0, 1, 1024, 7000000, 4 }, { value("uptime"), value("connections"),
      value("connections.max"), value("transaction.longest.seconds"), value("standby"), value("replicas"),
      value("replication.lag.bytes", { replica = "walreceiver" }), value("db.size", { db = "shop" }),
      value("db.connections", { db = "shop" }) })
    assert.is_nil(value("db.commits"))
    ctx.pass(10)
    metrics = run({}, { stdout = (found():gsub('"commits":100', '"commits":200'):gsub('"blks_hit":90', '"blks_hit":120')
      :gsub('"blks_read":10', '"blks_read":20')) }, ctx)
    assert.same({ 10, 75 }, { value("db.commits"), value("db.hit.ratio") })
  end)

  it("has no counts of sessions that it may not see, and no rates over a restart", function()
    local metrics, _, ctx = run({}, { stdout = found({ sessions = { all = 5, active = cjson.null } }) })
    assert.same({ 5, nil }, { shipped.value(metrics, "connections"), shipped.value(metrics, "connections.active") })
    ctx.pass(10)
    metrics = run({}, { stdout = found({ started = 1700000050 }) }, ctx)
    assert.is_nil(shipped.value(metrics, "db.commits"))
  end)

  it("gives psql the same arguments whatever is configured", function()
    local evil = "'; DROP TABLE x; --"
    local _, _, plain = run({}, { stdout = found() })
    local _, _, ctx = run({ host = evil, user = "-c", password = evil, database = "host=evil", sslmode = evil,
      password_file = "/p", ca_file = "/c", port = "1" }, { stdout = found() })
    for i = 1, 20 do assert.equal(plain.asked[1][i], ctx.asked[1][i]) end
    assert.equal(plain.asked[1].stdin, ctx.asked[1].stdin)
    local env = ctx.asked[1].env
    assert.same({ evil, "-c", evil, "host=evil", "/p", "/c", "1" }, { env.PGHOST, env.PGUSER, env.PGPASSWORD,
      env.PGDATABASE, env.PGPASSFILE, env.PGSSLROOTCERT, env.PGPORT })
    assert.match("read_only=on", env.PGOPTIONS)
    assert.is_nil(plain.asked[1].env.PGPASSWORD)
  end)

  it("says what went wrong", function()
    for _, case in ipairs({
      { { error = "ENOENT", why = "no such file" }, "^psql is not installed" },
      { { error = "EAGAIN", why = "no processes" }, "^no processes" },
      { { timed_out = true, code = 0 }, "^psql: no end after 9 s" },
      { { code = 2, stderr = "psql: error: FATAL:  no\n\27[2J\n" }, "^psql: error: FATAL: no %?%[2J$" },
      { { code = 3 }, "^psql: ended with 3" },
      { { truncated = true, stdout = found() }, "larger than 1 MiB" },
      { { stdout = "" }, "^no answer of the query" }, { { stdout = "{" }, "^no answer of the query" },
      { { stdout = "[1]" }, "without statistics" },
      { { stdout = '{"uptime":"x","databases":[]}' }, "without statistics" },
      { { stdout = '{"uptime":1,"databases":null}' }, "without statistics" },
      { { stdout = ("["):rep(100000) }, "^no answer of the query" },
    }) do
      local metrics, why = run({}, case[1])
      assert.is_nil(metrics)
      assert.match(case[2], why)
    end
  end)

  it("leaves out what is not as it should be", function()
    local metrics, why = run({}, { stdout = found({ sessions = 5, replicas = { 1, {}, { bytes = "x" } }, max = "x",
      databases = { 1, { name = 5 }, { name = "a", size = {}, commits = "x" }, { name = "b", age = 3 } } }) })
    assert(metrics, why)
    assert.equal(3, shipped.value(metrics, "db.age", { db = "b" }))
    assert.is_nil(shipped.value(metrics, "db.size"))
  end)

  it("tells each database once, whatever the answer repeats", function()
    local one, sizes = { name = "a", commits = 1, size = 1 }, 0
    local metrics = assert(run({}, { stdout = found({ databases = { one, one, one } }) }))
    for _, metric in ipairs(metrics) do
      if metric.name == "db.size" then sizes = sizes + 1 end
    end
    assert.equal(1, sizes)
  end)

  it("emits what is documented", function()
    local first, _, ctx = run({}, { stdout = found() })
    ctx.pass(10)
    local second = run({}, { stdout = (found():gsub('"blks_hit":90', '"blks_hit":91')) }, ctx)
    ctx.pass(10)
    local standby = run({}, { stdout = found({ standby = true, lag = 3.5, replicas = cjson.null }) }, ctx)
    shipped.compare("postgres", first, second, standby)
  end)
end)
