-- The types of the configuration. Each has `wants(entry) → text for a person` and
-- `read(value, entry) → value | nil` (nil: not what is wanted). Values never appear in messages: any
-- of them may be a secret.

local M = {}

local durations = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }
local sizes = { B = 1, KB = 1e3, MB = 1e6, GB = 1e9, KiB = 2 ^ 10, MiB = 2 ^ 20, GiB = 2 ^ 30 }

local function finite(value)
  return type(value) == "number" and value == value and value < math.huge and value > -math.huge
end

local function within(value, entry)
  if value < (entry.min or -math.huge) or value > (entry.max or math.huge) then return nil end
  return value
end

local function with_unit(value, units)
  if finite(value) then return value end
  if type(value) ~= "string" then return nil end
  local number, unit = value:match("^(%d+%.?%d*)%s*(%a+)$")
  return number and units[unit] and tonumber(number) * units[unit]
end

local function range(entry, show)
  show = show or tostring
  if entry.min and entry.max then return (", %s to %s"):format(show(entry.min), show(entry.max)) end
  if entry.min then return ", at least " .. show(entry.min) end
  return ""
end

--- Seconds as a person writes them: 300 → "5m".
function M.show_duration(seconds)
  for _, unit in ipairs({ "d", "h", "m", "s" }) do
    local whole = seconds / durations[unit]
    if whole > 0 and whole == math.floor(whole) then return ("%d%s"):format(whole, unit) end
  end
  return seconds == 0 and "0s" or ("%gms"):format(seconds * 1000)
end

--- Bytes as a person writes them: 67108864 → "64MiB".
function M.show_size(bytes)
  for _, unit in ipairs({ "GiB", "MiB", "KiB" }) do
    if bytes > 0 and bytes % sizes[unit] == 0 then return ("%d%s"):format(bytes / sizes[unit], unit) end
  end
  return ("%dB"):format(bytes)
end

-- Text that becomes a path, an address or an argument: no control character, no end of string inside.
local function clean(value)
  return type(value) == "string" and #value <= 4096 and not value:find("%c")
end

-- HOST:PORT with a name, an IPv4 address or a bracketed IPv6 address; an empty host where allowed.
local function host_port(value, lowest)
  local host, port = value:match("^%[([%x:.]+)%]:(%d+)$")
  if not host then host, port = value:match("^([%w._-]*):(%d+)$") end
  port = tonumber(port)
  if not port or port < lowest or port > 65535 then return nil end
  return host
end

M.string = {
  wants = function() return "a string without control characters" end,
  read = function(value) return clean(value) and value or nil end,
}

M.path = {
  wants = function(entry) return entry.empty and 'a path, or "" for none' or "a path" end,
  read = function(value, entry)
    return clean(value) and (value ~= "" or entry.empty) and value or nil
  end,
}

M.name = {
  wants = function(entry)
    return ("the name of a %s%s"):format(entry.of or "user",
      entry.numeric and ', or "UID:GID"' or entry.empty and ', or "" for none' or "")
  end,
  read = function(value, entry)
    if value == "" and entry.empty then return value end
    if type(value) ~= "string" or #value > 32 then return nil end
    if entry.numeric and value:find("^%d+:%d+$") then return value end
    return value:find("^[%w_][%w_.-]*%$?$") and value or nil
  end,
}

M.namespace = {
  wants = function(entry)
    return 'a namespace such as "web.shop.loda"' .. (entry.empty and ', or "" for none' or "")
  end,
  read = function(value, entry)
    local good = require("agent.namespace").valid(value) or (value == "" and entry.empty)
    return good and value or nil
  end,
}

M.boolean = {
  wants = function() return "true or false" end,
  read = function(value) if type(value) == "boolean" then return value end end,
}

M.integer = {
  wants = function(entry) return "a whole number" .. range(entry) end,
  read = function(value, entry)
    return finite(value) and value == math.floor(value) and within(value, entry) or nil
  end,
}

M.number = {
  wants = function(entry) return "a number" .. range(entry) end,
  read = function(value, entry) return finite(value) and within(value, entry) or nil end,
}

M.duration = {
  wants = function(entry)
    return 'a number of seconds, or a string with ms, s, m, h or d such as "10s"'
      .. range(entry, M.show_duration)
  end,
  read = function(value, entry)
    local seconds = with_unit(value, durations)
    return seconds and within(seconds, entry) or nil
  end,
}

M.size = {
  wants = function(entry)
    return 'a number of bytes, or a string with B, KB, MB, GB, KiB, MiB or GiB such as "64MiB"'
      .. range(entry, M.show_size)
  end,
  read = function(value, entry)
    local bytes = with_unit(value, sizes)
    return bytes and within(math.floor(bytes), entry) or nil
  end,
}

M.enum = {
  wants = function(entry) return "one of " .. table.concat(entry.values, ", ") end,
  read = function(value, entry)
    if type(value) ~= "string" then return nil end
    for _, allowed in ipairs(entry.values) do
      if value:lower() == allowed:lower() then return allowed end
    end
  end,
}

M.listen = {
  wants = function() return 'HOST:PORT such as "127.0.0.1:1232", or "" for none' end,
  read = function(value)
    if value == "" then return value end
    local host = clean(value) and host_port(value, 0)
    if not host then return nil end
    return host == "" and "0.0.0.0" .. value or value
  end,
}

M.address = {
  wants = function(entry)
    return "HOST:PORT" .. (entry.port and ", or HOST for port " .. entry.port or "")
  end,
  read = function(value, entry)
    if not clean(value) then return nil end
    local host = host_port(value, 1)
    if host and host ~= "" then return value end
    return entry.port and value:find("^[%w._-]+$") and value .. ":" .. entry.port or nil
  end,
}

M.hostname = {
  wants = function() return "a host name without a port" end,
  read = function(value)
    return type(value) == "string" and #value <= 253 and value:find("^[%w_][%w._-]*$") and value:lower() or nil
  end,
}

M.server = {
  wants = function() return '"tcp://HOST:PORT", "http://HOST:PORT", "https://HOST:PORT" or "HOST:PORT" (http)' end,
  read = function(value)
    if not clean(value) then return nil end
    local host = host_port(value:gsub("^tcp://", "", 1):gsub("^https?://", "", 1), 1)
    return host and host ~= "" and value or nil
  end,
}

-- The Go agent of the first years wrote no scheme: http is meant then.
M.registry = {
  wants = function() return '"http://HOST[:PORT]", "https://…", "file:PATH", or "" for none' end,
  read = function(value)
    if not clean(value) or value:find("%s") then return nil end
    if value == "" or value:find("^file:.") then return value end
    if not value:find("^%a+://") then value = "http://" .. value end
    local authority = value:match("^https?://([^/?#]+)[^?#]*$")
    if not authority then return nil end
    local host = authority:match("([^@]*)$")
    if not host:find(":%d+$") then host = host .. ":80" end
    host = host_port(host, 1)
    return host and host ~= "" and (value:gsub("/+$", "")) or nil
  end,
}

M.url = {
  wants = function() return '"http://HOST[:PORT]" or "https://…"' end,
  read = function(value, entry)
    if type(value) ~= "string" or value == "" or value:find("^file:") then return nil end
    return M.registry.read(value, entry)
  end,
}

M.git = {
  wants = function() return 'a clone URL with one %s for GROUP/PROJECT, or "" for none' end,
  read = function(value)
    if value == "" then return value end
    if not clean(value) or value:find("%s") or value:find("^%-") then return nil end
    local rest, found = value:gsub("%%s", "", 1)
    return found == 1 and not rest:find("%%") and value or nil
  end,
}

M.list = {
  wants = function(entry) return "a list, each " .. M[entry.of].wants(entry) end,
  read = function(value, entry)
    if type(value) ~= "table" then return nil end
    local read, count = {}, 0
    for key in pairs(value) do
      if type(key) ~= "number" then return nil end
      count = count + 1
    end
    for i = 1, count do
      read[i] = M[entry.of].read(value[i], entry)
      if read[i] == nil then return nil, i end
    end
    return count >= (entry.fewest or 0) and read or nil
  end,
}

M.map = {
  wants = function(entry)
    return ("a table from one of %s to %s"):format(table.concat(entry.keys, ", "), M[entry.of].wants(entry))
  end,
  read = function(value, entry)
    if type(value) ~= "table" then return nil end
    local read = {}
    for key, one in pairs(value) do
      local known = M.enum.read(key, { values = entry.keys })
      local item = known and M[entry.of].read(one, entry)
      if item == nil then return nil, key end
      read[known] = item
    end
    return read
  end,
}

-- Read by validate.lua, which knows the keys.
M.outputs = {
  wants = function() return "a list of tables, each with keys of `output`" end,
}

-- name = { interval =, ns = one or a list, run = name of the function, timeout =, params = table }
local function read_builtin(one)
  if type(one) ~= "table" then return nil end
  local interval = one.interval and with_unit(one.interval, durations)
  local timeout = one.timeout and with_unit(one.timeout, durations)
  if one.interval and not interval or one.timeout and not timeout then return nil end
  for _, ns in ipairs(type(one.ns) == "table" and one.ns or { one.ns }) do
    if not require("agent.namespace").valid(ns) then return nil end
  end
  if one.run ~= nil and type(one.run) ~= "string" then return nil end
  if one.params ~= nil and type(one.params) ~= "table" then return nil end
  return { interval = interval, timeout = timeout, ns = one.ns, run = one.run, params = one.params }
end

M.builtins = {
  wants = function() return "a table of NAME = { interval, ns, run, timeout, params }" end,
  read = function(value)
    if type(value) ~= "table" then return nil end
    local read = {}
    for name, one in pairs(value) do
      if type(name) ~= "string" or not name:find("^%w[%w._-]*$") then return nil end
      read[name] = read_builtin(one)
      if not read[name] then return nil end
    end
    return read
  end,
}

M.table = {
  wants = function() return "a table" end,
  read = function(value) return type(value) == "table" and value or nil end,
}

return M
