-- memcached: a chosen set of its stats. docs/builtins-shipped.md describes each metric.

local LINES = 1000 -- of an answer

local params = {
  host = { type = "string", default = "127.0.0.1", description = "name or address" },
  port = { type = "number", default = 11211, description = "of TCP" },
  socket = { type = "string", default = "", description = "path of a unix socket, instead of host and port" },
  timeout = { type = "number", default = 5, description = "seconds that connecting and each answer may take" },
}

local gauges = {
  uptime = "uptime", connections = "curr_connections", ["connections.max"] = "max_connections", threads = "threads",
  items = "curr_items", ["memory.used"] = "bytes", ["memory.max"] = "limit_maxbytes", ["memory.hash"] = "hash_bytes",
}

local rates = {
  gets = "cmd_get", sets = "cmd_set", touches = "cmd_touch", flushes = "cmd_flush", hits = "get_hits",
  misses = "get_misses", ["deletes.hits"] = "delete_hits", ["deletes.misses"] = "delete_misses",
  evictions = "evictions", reclaimed = "reclaimed", ["expired.unfetched"] = "expired_unfetched",
  ["evicted.unfetched"] = "evicted_unfetched", ["connections.new"] = "total_connections",
  ["connections.rejected"] = "rejected_connections", ["listen.disabled"] = "listen_disabled_num",
  ["auth.errors"] = "auth_errors", ["store.failed"] = "store_no_memory", ["net.in"] = "bytes_read",
  ["net.out"] = "bytes_written", ["cpu.user"] = "rusage_user", ["cpu.system"] = "rusage_system",
}
local percent = { ["cpu.user"] = 100, ["cpu.system"] = 100 }

-- Text of the server, fit for a message.
local function shown(text)
  text = text:sub(1, 120):gsub("[^\32-\126]", "?")
  return text
end

local function number(text)
  if not text or not text:find("^%d+%.?%d*$") or #text > 30 then return nil end
  return tonumber(text)
end

--- One line of the answer put into `stats`: true for the last, nil and why for one that can't be.
local function take(stats, line)
  if line == "END" then return true end
  local name, value = line:match("^STAT (%S+) (.*)$")
  if not name then return nil, ("no answer of memcached: %q"):format(shown(line)) end
  stats[name] = value
  return false
end

--- The metrics of the stats { name = text }.
local function measure(stats, rate)
  local metrics = {}
  for name, field in pairs(gauges) do metrics[name] = number(stats[field]) end
  -- Another pid: it was started anew, and its counters with it.
  local run = " " .. (stats.pid or ""):sub(1, 20)
  for name, field in pairs(rates) do
    local value = rate(name .. run, number(stats[field]))
    metrics[name] = value and value * (percent[name] or 1)
  end
  local hits, misses = metrics.hits, metrics.misses
  if hits and misses and hits + misses > 0 then metrics["hit.ratio"] = 100 * hits / (hits + misses) end
  local used, most = metrics["memory.used"], metrics["memory.max"]
  if used and most and most > 0 then metrics["memory.usage"] = 100 * used / most end
  return metrics
end

local function read_stats(conn)
  local stats = {}
  for _ = 1, LINES do
    local line, why = conn:line()
    if not line then return nil, "stats: " .. why end
    local last
    last, why = take(stats, line)
    if last == nil then return nil, why end
    if last then
      if not stats.pid then return nil, "stats: an answer without any" end
      return stats
    end
  end
  return nil, ("stats: more than %d lines"):format(LINES)
end

local function run(given, ctx)
  local host = given.socket ~= "" and "unix:" .. given.socket or given.host
  local conn, why = ctx.tcp(host, given.port, { timeout = given.timeout })
  if not conn then return nil, why end
  local ok, stats
  ok, why = conn:send("stats\r\n")
  if not ok then return nil, why end
  stats, why = read_stats(conn)
  if not stats then return nil, why end
  conn:close()
  return measure(stats, ctx.rate)
end

return {
  description = "memcached: connections, items, memory, hits and evictions, from its stats",
  params = params, interval = 30, run = run,
  take = take, measure = measure, -- for its spec
}
