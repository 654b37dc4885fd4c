-- PostgreSQL 10 and later: a chosen set of its statistics, asked for by psql. docs/builtins-shipped.md describes
-- each metric.

local params = {
  host = { type = "string", default = "/var/run/postgresql", description = "name, address, or the socket's directory" },
  port = { type = "number", default = 5432, description = "of the server" },
  user = { type = "string", default = "postgres", description = "a member of pg_monitor sees everything" },
  password = { type = "string", default = "", description = "a password_file is better" },
  password_file = { type = "string", default = "",
    description = "a .pgpass: lines host:port:database:user:password; it belongs to the user of builtins, mode 0600" },
  database = { type = "string", default = "postgres", description = "to connect to" },
  sslmode = { type = "string", default = "prefer", description = "disable, prefer, require, verify-ca, verify-full" },
  ca_file = { type = "string", default = "", description = "PEM of the authorities that are trusted" },
  sizes = { type = "boolean", default = true, description = "false: no db.size, which looks at every file" },
  timeout = { type = "number", default = 10, description = "seconds for all of it" },
}

local PROGRAMS = { "/usr/bin/psql", "/usr/local/bin/psql" }
local DATABASES = 256 -- the largest are told

-- Everything in one statement, so that it is of one moment, and as JSON, so that no name can be mistaken. Whoever may
-- not read all statistics sees nothing of the others' sessions: those counts are null then, not small.
local QUERY = [[
SELECT json_build_object(
  'uptime', extract(epoch FROM now() - pg_postmaster_start_time()),
  'started', extract(epoch FROM pg_postmaster_start_time()),
  'standby', pg_is_in_recovery(),
  'max', current_setting('max_connections')::int,
  'sessions', (SELECT json_build_object(
      'all', count(*),
      'active', CASE WHEN sees THEN count(*) FILTER (WHERE state = 'active') END,
      'idle', CASE WHEN sees THEN count(*) FILTER (WHERE state = 'idle') END,
      'in_transaction', CASE WHEN sees THEN count(*) FILTER (WHERE state LIKE 'idle in transaction%%') END,
      'waiting', CASE WHEN sees THEN count(*) FILTER (WHERE wait_event_type = 'Lock') END,
      'longest', CASE WHEN sees THEN coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) END)
    FROM pg_stat_activity, (SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees) AS us
    WHERE datname IS NOT NULL AND pid <> pg_backend_pid()
      AND coalesce(backend_type, 'client backend') = 'client backend'
    GROUP BY sees),
  'lag', CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  'replicas', CASE WHEN NOT pg_is_in_recovery() THEN (SELECT coalesce(json_agg(json_build_object(
      'name', application_name, 'address', coalesce(host(client_addr), 'local'),
      'bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))), '[]'::json) FROM pg_stat_replication) END,
  'databases', (SELECT json_agg(d) FROM (SELECT s.datname AS name, s.numbackends AS connections,
      s.xact_commit AS commits, s.xact_rollback AS rollbacks, s.blks_read, s.blks_hit, s.tup_returned, s.tup_fetched,
      s.tup_inserted, s.tup_updated, s.tup_deleted, s.temp_bytes, s.deadlocks, s.conflicts,
      age(b.datfrozenxid) AS age,
      CASE WHEN %s AND has_database_privilege(b.oid, 'CONNECT') THEN pg_database_size(b.oid) END AS size
    FROM pg_stat_database s JOIN pg_database b ON b.oid = s.datid
    WHERE NOT b.datistemplate ORDER BY size DESC NULLS LAST, s.datname LIMIT 256) AS d))
]]

-- Text of the server, fit for a message.
local function shown(text)
  text = text:sub(1, 300):gsub("%s+", " "):gsub("[^\32-\126]", "?"):gsub(" $", "")
  return text
end

local function number(value)
  if type(value) == "number" and value == value and value > -math.huge and value < math.huge then return value end
end

local function object(value)
  return type(value) == "table" and value or {}
end

--- What psql printed, as a table; nil and why.
local function parse(text)
  local found, why = json.decode(text)
  if type(found) ~= "table" then return nil, ("no answer of the query: %s"):format(shown(why or text)) end
  if not number(found.uptime) or type(found.databases) ~= "table" then
    return nil, ("an answer without statistics: %s"):format(shown(text))
  end
  return found
end

local counters = {
  ["db.commits"] = "commits", ["db.rollbacks"] = "rollbacks", ["db.blocks.read"] = "blks_read",
  ["db.blocks.hit"] = "blks_hit", ["db.rows.returned"] = "tup_returned", ["db.rows.fetched"] = "tup_fetched",
  ["db.rows.inserted"] = "tup_inserted", ["db.rows.updated"] = "tup_updated", ["db.rows.deleted"] = "tup_deleted",
  ["db.temp.bytes"] = "temp_bytes", ["db.deadlocks"] = "deadlocks", ["db.conflicts"] = "conflicts",
}

local function of_database(one, started, rate, add)
  local tags = { db = one.name }
  for name, field in pairs({ ["db.connections"] = "connections", ["db.size"] = "size", ["db.age"] = "age" }) do
    add(name, number(one[field]), tags)
  end
  local rates = {}
  for name, field in pairs(counters) do
    rates[name] = rate(("%s %s %s"):format(name, started, one.name), number(one[field]))
    add(name, rates[name], tags)
  end
  local hit, read = rates["db.blocks.hit"], rates["db.blocks.read"]
  if hit and read and hit + read > 0 then add("db.hit.ratio", 100 * hit / (hit + read), tags) end
end

local function of_sessions(found, add)
  local sessions = object(found.sessions)
  add("connections", number(sessions.all) or 0)
  add("connections.max", number(found.max))
  for name, field in pairs({ ["connections.active"] = "active", ["connections.idle"] = "idle",
    ["connections.idle_in_transaction"] = "in_transaction", ["connections.waiting"] = "waiting",
    ["transaction.longest.seconds"] = "longest" }) do
    -- Without any session there is no row to say 0.
    add(name, found.sessions == json.null and 0 or number(sessions[field]))
  end
end

local function of_replication(found, add)
  add("standby", found.standby == true and 1 or 0)
  local lag = number(found.lag)
  add("replication.lag.seconds", lag and math.max(0, lag))
  if type(found.replicas) ~= "table" then return end
  add("replicas", #found.replicas)
  local seen = {}
  for _, one in ipairs(found.replicas) do
    local tags = { replica = tostring(object(one).name), address = tostring(object(one).address) }
    local bytes, key = number(object(one).bytes), tags.replica .. " " .. tags.address
    if bytes and not seen[key] then add("replication.lag.bytes", bytes, tags) end
    seen[key] = true
  end
end

--- The metrics of what parse() gave.
local function measure(found, rate)
  local list = {}
  local function add(name, value, tags)
    if value then list[#list + 1] = { name = name, value = value, tags = tags } end
  end
  add("uptime", found.uptime)
  of_sessions(found, add)
  of_replication(found, add)
  local seen, count = {}, 0
  for _, one in ipairs(found.databases) do
    local name = object(one).name
    if type(name) == "string" and not seen[name] and count < DATABASES then
      seen[name], count = true, count + 1
      of_database(one, tostring(found.started), rate, add)
    end
  end
  return list
end

-- What was given goes into the environment: there it is a value and nothing else.
local function environment(given, seconds)
  local env = {
    PATH = "/usr/bin:/bin", LC_ALL = "C", PGCLIENTENCODING = "UTF8", PGAPPNAME = "agent",
    PGHOST = given.host, PGPORT = ("%d"):format(given.port), PGUSER = given.user, PGDATABASE = given.database,
    PGSSLMODE = given.sslmode, PGCONNECT_TIMEOUT = ("%d"):format(math.max(2, math.floor(seconds / 2))),
    PGOPTIONS = ("-c default_transaction_read_only=on -c statement_timeout=%d"):format(seconds * 900),
  }
  if given.password ~= "" then env.PGPASSWORD = given.password end
  if given.password_file ~= "" then env.PGPASSFILE = given.password_file end
  if given.ca_file ~= "" then env.PGSSLROOTCERT = given.ca_file end
  return env
end

local function psql(given, ctx)
  local seconds = math.min(given.timeout, ctx.deadline() * 0.9)
  local options = { nil, "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align",
    "--set=ON_ERROR_STOP=1", "--file=-", stdin = QUERY:format(given.sizes and "true" or "false"),
    env = environment(given, seconds), timeout = seconds }
  local result, why, code
  for _, program in ipairs(PROGRAMS) do
    options[1] = program
    result, why, code = ctx.exec(options)
    if result or code ~= "ENOENT" then break end
  end
  if code == "ENOENT" then return nil, "psql is not installed (package postgresql-client)" end
  if result and result.timed_out then return nil, ("psql: no end after %g s"):format(seconds) end
  return result, why
end

local function run(given, ctx)
  local result, why = psql(given, ctx)
  if not result then return nil, why end
  if result.code ~= 0 then
    local said = result.stderr ~= "" and shown(result.stderr) or ("ended with %d"):format(result.code)
    return nil, said:find("^psql") and said or "psql: " .. said
  end
  if result.truncated then return nil, "psql: the answer is larger than 1 MiB" end
  local found
  found, why = parse(result.stdout)
  if not found then return nil, why end
  return measure(found, ctx.rate)
end

return {
  description = "PostgreSQL: sessions, transactions, rows, cache, sizes and replication, by psql",
  params = params, interval = 60, run = run,
  parse = parse, measure = measure, -- for its spec
}
