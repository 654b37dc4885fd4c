-- Redis (and what speaks its protocol): a chosen set of INFO. docs/builtins-shipped.md describes each metric.

local LARGEST = 2 ^ 20 -- bytes of INFO
local DATABASES = 256

local params = {
  host = { type = "string", default = "127.0.0.1", description = "name or address" },
  port = { type = "number", default = 6379, description = "of TCP" },
  socket = { type = "string", default = "", description = "path of a unix socket, instead of host and port" },
  user = { type = "string", default = "", description = "of the ACL (Redis 6); without it the default user" },
  password = { type = "string", default = "", description = "for AUTH" },
  password_file = { type = "string", default = "",
    description = "file whose first line is the password; the user of builtins must be able to read it" },
  timeout = { type = "number", default = 5, description = "seconds that connecting and each answer may take" },
}

-- Text of the server, fit for a message.
local function shown(text)
  text = text:sub(1, 120):gsub("[^\32-\126]", "?")
  return text
end

local function number(text)
  if not text or not text:find("^%-?%d+%.?%d*$") or #text > 30 then return nil end
  return tonumber(text)
end

--- The fields of INFO, { name = text }; nil and why when it is none.
local function parse(text)
  local fields, any = {}, false
  for line in text:gmatch("[^\r\n]+") do
    local name, value = line:match("^([%w_]+):(.*)$")
    if name then
      fields[name] = value
      any = true
    end
  end
  if any and fields.redis_version then return fields end
  return nil, ("no INFO: %q"):format(shown(text))
end

local function databases(fields, metrics)
  local keys, count = 0, 0
  for name, value in pairs(fields) do
    local index, have, expires = name:match("^db(%d+)$"), value:match("^keys=(%d+),expires=(%d+)")
    have, expires = number(have), number(expires)
    if index and have and expires and count < DATABASES then
      count, keys = count + 1, keys + have
      metrics[#metrics + 1] = { name = "db.keys", value = have, tags = { db = index } }
      metrics[#metrics + 1] = { name = "db.expires", value = expires, tags = { db = index } }
    end
  end
  metrics.keys = keys
end

local gauges = {
  uptime = "uptime_in_seconds", ["clients.connected"] = "connected_clients", ["clients.blocked"] = "blocked_clients",
  ["clients.max"] = "maxclients", ["memory.used"] = "used_memory", ["memory.rss"] = "used_memory_rss",
  ["memory.peak"] = "used_memory_peak", ["memory.max"] = "maxmemory",
  ["memory.fragmentation"] = "mem_fragmentation_ratio", ["rdb.changes"] = "rdb_changes_since_last_save",
  ["fork.seconds"] = "latest_fork_usec", ["replicas"] = "connected_slaves",
  ["replication.link.down.seconds"] = "master_link_down_since_seconds",
}
local scale = { ["fork.seconds"] = 1e-6 }

local rates = {
  commands = "total_commands_processed", connections = "total_connections_received",
  ["connections.rejected"] = "rejected_connections", ["keys.expired"] = "expired_keys",
  ["keys.evicted"] = "evicted_keys", hits = "keyspace_hits", misses = "keyspace_misses",
  errors = "total_error_replies", ["net.in"] = "total_net_input_bytes", ["net.out"] = "total_net_output_bytes",
  ["cpu.user"] = "used_cpu_user", ["cpu.system"] = "used_cpu_sys",
}
local percent = { ["cpu.user"] = 100, ["cpu.system"] = 100 }

-- 1 when the field says `good`, 0 when it says something else.
local function flag(fields, name, good)
  local value = fields[name]
  return value and (value == good and 1 or 0)
end

local function states(fields, now, metrics)
  metrics.master = flag(fields, "role", "master")
  metrics["replication.link.up"] = flag(fields, "master_link_status", "up")
  metrics["replication.last.seconds"] = fields.role == "slave"
    and number(fields.master_last_io_seconds_ago) or nil
  if metrics["replication.last.seconds"] == -1 then metrics["replication.last.seconds"] = nil end
  metrics["rdb.ok"] = flag(fields, "rdb_last_bgsave_status", "ok")
  local saved = number(fields.rdb_last_save_time)
  if saved and saved > 0 then metrics["rdb.age"] = math.max(0, math.floor(now - saved)) end
  if fields.aof_enabled == "1" then metrics["aof.ok"] = flag(fields, "aof_last_write_status", "ok") end
  metrics.loading = flag(fields, "loading", "1")
end

--- The metrics of parsed INFO. `rate` and `now` as those of ctx.
local function measure(fields, rate, now)
  local metrics = {}
  for name, field in pairs(gauges) do
    local value = number(fields[field])
    metrics[name] = value and value * (scale[name] or 1)
  end
  -- Another run_id: the server was started anew, and its counters with it.
  local run = " " .. (fields.run_id or ""):sub(1, 40)
  for name, field in pairs(rates) do
    local value = rate(name .. run, number(fields[field]))
    metrics[name] = value and value * (percent[name] or 1)
  end
  local hits, misses = metrics.hits, metrics.misses
  if hits and misses and hits + misses > 0 then metrics["hit.ratio"] = 100 * hits / (hits + misses) end
  states(fields, now, metrics)
  databases(fields, metrics)
  return metrics
end

-- A command as an array of bulk strings: nothing in an argument can become another command.
local function command(...)
  local parts = { ("*%d\r\n"):format(select("#", ...)) }
  for _, word in ipairs({ ... }) do parts[#parts + 1] = ("$%d\r\n%s\r\n"):format(#word, word) end
  return table.concat(parts)
end

-- The answer to a command: its text; nil and why.
local function answer(conn, what)
  local line, why = conn:line()
  if not line then return nil, what .. ": " .. why end
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == "+" then return rest end
  if kind == "-" then return nil, ("%s: the server says %s"):format(what, shown(rest)) end
  local bytes = kind == "$" and number(rest)
  if not bytes or bytes < 0 or bytes % 1 ~= 0 then
    return nil, ("%s: no answer of Redis: %q"):format(what, shown(line))
  end
  if bytes > LARGEST then return nil, ("%s: an answer of %d bytes"):format(what, bytes) end
  local text
  text, why = conn:read(bytes + 2)
  if not text then return nil, what .. ": " .. why end
  return text:sub(1, bytes)
end

local function ask(conn, ...)
  local ok, why = conn:send(command(...))
  if not ok then return nil, why end
  return answer(conn, (...))
end

local function password_of(given, ctx)
  if given.password_file == "" then return given.password end
  local text, why = ctx.read_file(given.password_file, 4096)
  if not text then return nil, "password_file: " .. why end
  return text:match("^[^\r\n]*")
end

local function log_in(conn, given, password)
  if password == "" then return true end
  local ok, why
  if given.user == "" then
    ok, why = ask(conn, "AUTH", password)
  else
    ok, why = ask(conn, "AUTH", given.user, password)
  end
  -- Servers that don't know AUTH repeat what they were sent.
  if not ok and why:find(password, 1, true) then why = "AUTH: the server does not take it" end
  return ok, why
end

local function run(given, ctx)
  local password, why = password_of(given, ctx)
  if not password then return nil, why end
  local host = given.socket ~= "" and "unix:" .. given.socket or given.host
  local conn
  conn, why = ctx.tcp(host, given.port, { timeout = given.timeout })
  if not conn then return nil, why end
  local ok, text, fields
  ok, why = log_in(conn, given, password)
  if not ok then return nil, why end
  text, why = ask(conn, "INFO")
  if not text then return nil, why end
  conn:close()
  fields, why = parse(text)
  if not fields then return nil, why end
  return measure(fields, ctx.rate, ctx.now())
end

return {
  description = "Redis: clients, memory, keys, commands, hits, persistence and replication, from INFO",
  params = params, interval = 30, run = run,
  parse = parse, measure = measure, -- for its spec
}
