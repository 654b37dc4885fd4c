-- builtin/redis.lua: what it makes of INFO, and of servers that answer something else.

local shipped = require("shipped")

local INFO = table.concat({
  "# Server", "redis_version:7.0.15", "run_id:abc", "uptime_in_seconds:100", "", "# Clients", "connected_clients:3",
  "blocked_clients:1", "maxclients:10000", "# Memory", "used_memory:1000", "used_memory_rss:2000",
  "used_memory_peak:1500", "maxmemory:0", "mem_fragmentation_ratio:2.00", "# Persistence", "loading:0",
  "rdb_changes_since_last_save:7", "rdb_last_save_time:1700000940", "rdb_last_bgsave_status:ok", "aof_enabled:1",
  "aof_last_write_status:err", "# Stats", "total_commands_processed:50", "total_connections_received:5",
  "rejected_connections:0", "expired_keys:0", "evicted_keys:0", "keyspace_hits:30", "keyspace_misses:10",
  "total_error_replies:0", "total_net_input_bytes:100", "total_net_output_bytes:200", "latest_fork_usec:1500",
  "used_cpu_user:1.5", "used_cpu_sys:0.5", "# Replication", "role:slave", "master_link_status:down",
  "master_last_io_seconds_ago:4", "master_link_down_since_seconds:9", "connected_slaves:0", "# Keyspace",
  "db0:keys=5,expires=2,avg_ttl=0", "db11:keys=1,expires=0,avg_ttl=0,subexpiry=0", "",
}, "\r\n")

local function bulk(text) return ("$%d\r\n%s\r\n"):format(#text, text) end

describe("builtin redis", function()
  local redis = shipped.load("redis")

  local function run(given, answer, ctx)
    ctx = ctx or shipped.ctx()
    local conn = shipped.connection(answer)
    function ctx.tcp(host, port)
      conn.address = host .. " " .. port
      return conn
    end
    local metrics, why = redis.run(shipped.params(redis, given), ctx)
    return metrics, why, conn, ctx
  end

  it("tells the chosen fields, rates from the second run on", function()
    local metrics, why, conn, ctx = run({}, bulk(INFO))
    assert(metrics, why)
    assert.equal("127.0.0.1 6379", conn.address)
    assert.same({ "*1\r\n$4\r\nINFO\r\n" }, conn.sent)
    assert.is_nil(shipped.value(metrics, "commands"))
    assert.same({ 3, 1000, 6, 5, 2, 60, 1, 0, 0, 0.0015 }, {
      shipped.value(metrics, "clients.connected"), shipped.value(metrics, "memory.used"), metrics.keys,
      shipped.value(metrics, "db.keys", { db = "0" }), shipped.value(metrics, "db.expires", { db = "0" }),
      metrics["rdb.age"], metrics["rdb.ok"], metrics["aof.ok"], metrics.master, metrics["fork.seconds"] })
    ctx.pass(10)
    local later = INFO:gsub("processed:50", "processed:150"):gsub("hits:30", "hits:60"):gsub("misses:10", "misses:20")
      :gsub("user:1.5", "user:2.0")
    metrics = run({}, bulk(later), ctx)
    assert.same({ 10, 3, 1, 75, 5 },
      { metrics.commands, metrics.hits, metrics.misses, metrics["hit.ratio"], metrics["cpu.user"] })
  end)

  it("has no rates over a restart, even when the counters are higher than before", function()
    local _, _, _, ctx = run({}, bulk(INFO))
    ctx.pass(10)
    local metrics = run({}, bulk((INFO:gsub("run_id:abc", "run_id:def"):gsub("processed:50", "processed:500"))), ctx)
    assert.is_nil(metrics.commands)
  end)

  it("logs in first, with nothing in a password that could be a command", function()
    local _, why, conn = run({ password = "a\r\nFLUSHALL\r\n" }, "+OK\r\n" .. bulk(INFO))
    assert.is_nil(why)
    assert.equal("*2\r\n$4\r\nAUTH\r\n$13\r\na\r\nFLUSHALL\r\n\r\n", conn.sent[1])
    _, why, conn = run({ user = "u", password = "p" }, "+OK\r\n" .. bulk(INFO))
    assert.is_nil(why)
    assert.equal("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n", conn.sent[1])
  end)

  it("takes the password from a file", function()
    local ctx = shipped.ctx({ read_file = function(path) return path == "/p" and "secret\n" end })
    local _, _, conn = run({ password_file = "/p" }, "+OK\r\n" .. bulk(INFO), ctx)
    assert.equal("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", conn.sent[1])
    ctx = shipped.ctx({ read_file = function() return nil, "EACCES: permission denied" end })
    local metrics, why = run({ password_file = "/p" }, "", ctx)
    assert.is_nil(metrics)
    assert.equal("password_file: EACCES: permission denied", why)
  end)

  it("repeats no password", function()
    local _, why = run({ password = "hidden1" }, "-ERR unknown command 'AUTH', with args beginning with: 'hidden1'\r\n")
    assert.equal("AUTH: the server does not take it", why)
    _, why = run({ password = "hidden1" }, "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
    assert.match("^AUTH: the server says WRONGPASS", why)
  end)

  it("says what is wrong with an answer", function()
    for answer, expected in pairs({
      [""] = "^INFO: .*closed",
      ["-NOAUTH Authentication required.\r\n"] = "^INFO: the server says NOAUTH Authentication required",
      ["HTTP/1.1 400 Bad Request\r\n\r\n"] = '^INFO: no answer of Redis: "HTTP/1.1 400',
      ["\27[2J\0\255\r\n"] = '^INFO: no answer of Redis: "%?%[2J%?%?"',
      ["$100\r\nredis_version:7"] = "^INFO: .*closed",
      ["$99999999999\r\n"] = "^INFO: an answer of 99999999999 bytes",
      ["$-1\r\n"] = "no answer of Redis", ["$nan\r\n"] = "no answer of Redis", ["$1e3\r\n"] = "no answer of Redis",
      ["$\r\n"] = "no answer of Redis", ["*1\r\n$1\r\na\r\n"] = "no answer of Redis",
      [bulk("")] = "^no INFO", [bulk(("\0"):rep(1000))] = "^no INFO", [bulk("a:b\r\nc")] = "^no INFO",
    }) do
      local metrics, why = run({}, answer)
      assert.is_nil(metrics, answer)
      assert.match(expected, why)
    end
  end)

  it("leaves out what is no number, and goes on", function()
    local metrics = run({}, bulk("redis_version:x\r\nused_memory:inf\r\nmaxmemory:nan\r\nuptime_in_seconds:0x10\r\n"
      .. "connected_clients:" .. ("9"):rep(400) .. "\r\ndb0:keys=a,expires=1\r\ndbx:keys=1,expires=1\r\n"
      .. "maxclients:5\r\n"))
    assert.same({ keys = 0, ["clients.max"] = 5 }, metrics)
  end)

  it("is not drowned by databases, by long lines, nor by a long name of the run", function()
    local lines = { "redis_version:1", "run_id:" .. ("x"):rep(60000), ("a"):rep(900000) }
    for i = 1, 1000 do lines[#lines + 1] = ("db%d:keys=1,expires=0"):format(i) end
    local longest = 0
    local ctx = shipped.ctx()
    local rate = ctx.rate
    function ctx.rate(key, counter)
      longest = math.max(longest, #key)
      return rate(key, counter)
    end
    local began = os.clock()
    local metrics = run({}, bulk(table.concat(lines, "\r\n")), ctx)
    assert.is_true(os.clock() - began < 2)
    assert.equal(256, metrics.keys)
    assert.is_true(longest < 100)
  end)

  it("emits what is documented", function()
    local first, _, _, ctx = run({}, bulk(INFO))
    ctx.pass(10)
    local second = run({}, bulk((INFO:gsub("hits:30", "hits:31"))), ctx)
    shipped.compare("redis", first, second)
  end)
end)
