-- builtin/memcached.lua: what it makes of stats, and of servers that answer something else.

local shipped = require("shipped")

local FIELDS = { "pid 7", "uptime 100", "version 1.6.18", "rusage_user 1.5", "rusage_system 0.5",
  "max_connections 1024", "curr_connections 2", "total_connections 10", "rejected_connections 0", "cmd_get 40",
  "cmd_set 5", "cmd_flush 0", "cmd_touch 1", "get_hits 30", "get_misses 10", "delete_hits 1", "delete_misses 0",
  "auth_errors 0", "bytes_read 1000", "bytes_written 5000", "limit_maxbytes 1000", "listen_disabled_num 0",
  "threads 4", "hash_bytes 524288", "bytes 250", "curr_items 3", "evictions 0", "reclaimed 0", "expired_unfetched 0",
  "evicted_unfetched 0", "store_no_memory 0" }
local STATS = "STAT " .. table.concat(FIELDS, "\r\nSTAT ") .. "\r\nEND\r\n"

describe("builtin memcached", function()
  local memcached = shipped.load("memcached")

  local function run(answer, ctx, given)
    ctx = ctx or shipped.ctx()
    local conn = shipped.connection(answer)
    function ctx.tcp(host, port)
      conn.address = host .. " " .. port
      return conn
    end
    local metrics, why = memcached.run(shipped.params(memcached, given), ctx)
    return metrics, why, ctx, conn
  end

  it("tells the chosen stats, rates from the second run on", function()
    local metrics, why, ctx, conn = run(STATS)
    assert(metrics, why)
    assert.same({ "127.0.0.1 11211", { "stats\r\n" } }, { conn.address, conn.sent })
    assert.same({ 2, 3, 250, 25, 4 }, { metrics.connections, metrics.items, metrics["memory.used"],
      metrics["memory.usage"], metrics.threads })
    assert.is_nil(metrics.gets)
    ctx.pass(10)
    metrics = run((STATS:gsub("cmd_get 40", "cmd_get 80"):gsub("get_hits 30", "get_hits 60")
      :gsub("get_misses 10", "get_misses 20"):gsub("rusage_user 1.5", "rusage_user 2.5")), ctx)
    assert.same({ 4, 3, 1, 75, 10 },
      { metrics.gets, metrics.hits, metrics.misses, metrics["hit.ratio"], metrics["cpu.user"] })
  end)

  it("has no rates over a restart, and no ratio when nothing was looked up", function()
    local _, _, ctx = run(STATS)
    ctx.pass(10)
    assert.is_nil(run((STATS:gsub("pid 7", "pid 8"):gsub("cmd_get 40", "cmd_get 80")), ctx).gets)
    ctx.pass(10)
    local metrics = run((STATS:gsub("pid 7", "pid 8"):gsub("cmd_get 40", "cmd_get 80")), ctx)
    assert.same({ 0, nil }, { metrics.gets, metrics["hit.ratio"] })
  end)

  it("says what is wrong with an answer", function()
    for answer, expected in pairs({
      [""] = "^stats: .*closed", ["STAT pid 1\r\nSTAT upt"] = "^stats: .*closed",
      ["ERROR\r\n"] = '^no answer of memcached: "ERROR"',
      ["CLIENT_ERROR unauthenticated\r\n"] = "unauthenticated",
      ["END\r\n"] = "without any", ["STAT\r\n"] = "no answer", ["\0\1\r\n"] = '"%?%?"',
      ["-ERR unknown command\r\n"] = "ERR unknown command",
      [("STAT a 1\r\n"):rep(5000)] = "more than 1000 lines",
    }) do
      local metrics, why = run(answer)
      assert.is_nil(metrics, answer)
      assert.match(expected, why)
    end
  end)

  it("leaves out what is no number", function()
    assert.same({ threads = 4 },
      (run("STAT pid 1\r\nSTAT bytes nan\r\nSTAT uptime -1e999\r\nSTAT curr_items inf\r\nSTAT threads 4\r\nEND\r\n")))
  end)

  it("goes to a unix socket where one is named", function()
    local _, _, _, conn = run(STATS, nil, { socket = "/run/m.sock" })
    assert.match("^unix:/run/m.sock ", conn.address)
  end)

  it("emits what is documented", function()
    local first, _, ctx = run(STATS)
    ctx.pass(10)
    shipped.compare("memcached", first, (run((STATS:gsub("get_hits 30", "get_hits 31")), ctx)))
  end)
end)
