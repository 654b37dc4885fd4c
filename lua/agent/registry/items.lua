-- An item as the registry sends it (contracts.md §1.2.2: flat, every value a string) becomes a typed
-- record, or is refused with a reason. What is normal here is what the rest of the agent trusts.

local namespace = require("agent.namespace")

local M = {}

local DEFAULT_INTERVAL, DEFAULT_TIMEOUT, LONGEST_TIMEOUT = 60, 3, 60
local LONGEST_INTERVAL = 86400

-- JSON's null and absent keys are the same to the registry: an empty string.
local function text_of(value)
  local kind = type(value)
  if kind == "string" then return (value:match("^%s*(.-)%s*$")) end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  return ""
end

-- A whole number of seconds; nil when absent, empty or 0.
local function seconds_of(item, key)
  local text = text_of(item[key])
  if text == "" then return nil end
  local n = tonumber(text)
  if not n or n % 1 ~= 0 then return nil, ("%s: %q is not a whole number of seconds"):format(key, text) end
  if n > LONGEST_INTERVAL then return nil, ("%s: %d s is more than a day"):format(key, n) end
  return n > 0 and n or nil
end

local function check_name(name)
  if name == "" then return "name is missing" end
  if #name > 200 or name:find("[^%w%._-]") then
    return "name: only letters, digits, - _ and . make a measurement, 200 at most"
  end
end

-- The record that all types begin with, or nil and why not.
local function common(item, default_interval)
  local name = text_of(item.name)
  local why = check_name(name)
  if why then return nil, why end
  local interval
  interval, why = seconds_of(item, "interval")
  if why then return nil, why end
  return { name = name, interval = interval or default_interval }
end

local function port(item)
  local record, why = common(item, DEFAULT_INTERVAL)
  if not record then return nil, why end
  local text = text_of(item.port)
  local number = tonumber(text)
  if not number or number % 1 ~= 0 or number < 1 or number > 65535 then
    return nil, ("port: %q is not 1 to 65535"):format(text)
  end
  record.port = number
  record.timeout, why = seconds_of(item, "connect_timeout")
  if why then return nil, why end
  record.timeout = math.min(record.timeout or DEFAULT_TIMEOUT, LONGEST_TIMEOUT)
  return record
end

local function proc(item)
  local record, why = common(item, DEFAULT_INTERVAL)
  if not record then return nil, why end
  record.path = text_of(item.bin_path)
  if record.path:sub(1, 1) ~= "/" or record.path:find("[%z\1-\31]") then
    return nil, ("bin_path: %q is not the absolute path of an executable"):format(record.path)
  end
  local cmdline = text_of(item.cmdline)
  record.cmdline = cmdline ~= "" and cmdline or nil
  return record
end

-- An item of a system group says nothing but its interval.
local function group(item)
  local interval, why = seconds_of(item, "interval")
  if why then return nil, why end
  return { name = text_of(item.name), interval = interval }
end

-- Unlike other items it has to say its interval: 0 is a meaning of its own.
local function plugin(item)
  local name = text_of(item.name)
  local why = check_name(name)
  if why then return nil, why end
  return require("agent.registry.plugin_item").complete({ name = name }, item, text_of)
end

-- GOPLUGIN, BUILTIN, LUA and LOG.
local function builtin(item)
  local record, why = common(item)
  if not record then return nil, why end
  return require("agent.registry.builtin_item").complete(record, item, text_of)
end

local types = { PORT = port, PROC = proc, PLUGIN = plugin, GOPLUGIN = builtin, BUILTIN = builtin, LUA = builtin,
  LOG = builtin, CPU = group, DISK = group, MEM = group, NET = group, FS = group, TIME = group, KERNEL = group,
  DEV = group, COREDUMP = group }

-- Types that are known and not run by the agent (alarm-adapter runs API).
local passed_over = { API = true, HEALTH = true, PS = true }

--- Makes the record of one item. Returns it, nil and the reason of a refusal, or nothing at all for items
--- that are not the agent's business. Records: type, name, interval (seconds; nil = not said; PORT and PROC 60),
--- PORT: port, timeout (seconds); PROC: path, cmdline (plain substring or nil); PLUGIN: see plugin_item.lua; BUILTIN
--- (also of items GOPLUGIN, LUA, LOG): see builtin_item.lua.
---@param item any
---@return table? record
---@return string? reason
function M.normalise(item)
  if type(item) ~= "table" then return nil, ("an item is a table, not a %s"):format(type(item)) end
  local kind = text_of(item.measurement_type)
  if kind == "" then return nil, "measurement_type is missing" end
  local make = types[kind]
  if not make then
    if passed_over[kind] then return nil end
    return nil, ("measurement_type: %q is not known"):format(kind)
  end
  local record, why = make(item)
  if record then record.type = record.type or kind end
  return record, why
end

-- Two items of one name in a namespace would write the same series, two plugins of one project's name would
-- share a directory. Why a record is refused, or nil.
local function double(record, seen)
  if not types[record.type] or types[record.type] == group then return nil end
  if seen[record.name] then return "the name is taken by an item before" end
  local directory = record.dir and "/" .. record.dir
  if directory and seen[directory] then
    return ("git: a plugin before, %s, has the same project name, %s"):format(seen[directory], record.dir)
  end
  seen[record.name] = record.name
  if directory then seen[directory] = record.name end
  return nil
end

--- The records of a namespace's items, each with its ns. refuse(index, name, reason) is called for the others.
---@return table[] records
function M.of_namespace(ns, items, refuse)
  local records, seen = {}, {}
  for i, item in ipairs(items) do
    local record, why = M.normalise(item)
    if record then why = double(record, seen) end
    if record and not why then
      record.ns = ns
      records[#records + 1] = record
    elseif why then
      refuse(i, type(item) == "table" and type(item.name) == "string" and item.name or nil, why)
    end
  end
  return records
end

--- Why a value cannot be the items of a namespace; nil when it can.
function M.unfit(ns, items)
  if not namespace.valid(ns) then return "no name of a namespace: 1 to 56 of A-Z a-z 0-9 . _ -" end
  if type(items) ~= "table" then return ("a namespace is a list of items, not a %s"):format(type(items)) end
  for key in pairs(items) do
    if type(key) ~= "number" then return "a namespace is a list of items, this one has the key " .. tostring(key) end
  end
end

--- Everything wrong in { [ns] = items }, for `agent check`: array of { key, line?, message } in the order of
--- their lines. lines: key path → line; join(path, key) makes a key path.
function M.problems(data, lines, join)
  local problems = {}
  local function report(key, message)
    problems[#problems + 1] = { key = key, line = lines and lines[key], message = message }
  end
  for ns, items in pairs(data) do
    local path = join("", ns)
    local why = M.unfit(ns, items)
    if why then
      report(path, why)
    else
      M.of_namespace(ns, items, function(i, _, reason) report(join(path, i), reason) end)
    end
  end
  table.sort(problems, function(a, b)
    if (a.line or 0) ~= (b.line or 0) then return (a.line or 0) < (b.line or 0) end
    return a.key < b.key
  end)
  return problems
end

return M
