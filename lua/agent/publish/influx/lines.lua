-- A published message (contracts.md §2.2) as lines of InfluxDB's line protocol (§7.1). What the router writes for
-- the same message is the measure: every number a float, a string that is a number a float too, and a tag that
-- comes with its escapes (`a\,b`) is left so. What can't be said in lines is left out, point by point.

local cjson = require("cjson")
local points = require("agent.publish.points")

local M = {}

local KEY_MAX = 65535
local TIME_MAX = 9223372036 -- seconds, whose nanoseconds are 64 bits
local reserved = { time = true, _measurement = true, _field = true }

-- A special character with a backslash before it is escaped already. A backslash at the end would escape what follows.
local function escape(text, specials)
  if text == "" then return nil, "empty_tag" end
  if text:find("[\n\r]") then return nil, "newline" end
  if text:sub(-1) == "\\" then return nil, "backslash" end
  if not text:find(specials) then return text end
  return (text:gsub("\\?" .. specials, function(found) return #found == 1 and "\\" .. found or found end))
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Measurement and tags, or nil and why not.
local function series(point)
  local name = point.measurement
  if type(name) ~= "string" or name == "" then return nil, "no_name" end
  if name:find("^#") then return nil, "comment" end
  local key, why = escape(name, "[, ]")
  if not key then return nil, why end
  local pieces = { key }
  for _, tag in ipairs(sorted_keys(point.tags or {})) do
    if reserved[tag] then return nil, "reserved_name" end
    local value = point.tags[tag]
    if type(value) ~= "string" then return nil, "bad_type" end
    local left, right
    left, why = escape(tag, "[, =]")
    if left then right, why = escape(value, "[, =]") end
    if not right then return nil, why end
    pieces[#pieces + 1] = left .. "=" .. right
  end
  return table.concat(pieces, ",")
end

-- "97.18" and the like: what InfluxDB reads as a float when it is written without quotes.
local function as_number(text)
  return text:find("^%-?[%d.][%d.eE+-]*$") and tonumber(text) or nil
end

local function field_value(value)
  local kind = type(value)
  if kind == "string" then
    local number = as_number(value)
    local text = number and points.json_number(number)
    return text or '"' .. value:gsub('["\\]', "\\%0") .. '"'
  elseif kind == "number" then
    local text = points.json_number(value)
    return text, not text and "not_finite" or nil
  elseif kind == "boolean" then
    return tostring(value)
  end
  return nil, value == cjson.null and "null" or "bad_type"
end

local function field_set(fields)
  local pieces = {}
  for _, name in ipairs(sorted_keys(fields)) do
    local value, why = field_value(fields[name])
    local key
    if value then key, why = escape(name, "[, =]") end
    if not key then return nil, why end
    if not reserved[name] then pieces[#pieces + 1] = key .. "=" .. value end
  end
  if not pieces[1] then return nil, next(fields) == nil and "null" or "reserved_name" end
  return table.concat(pieces, ",")
end

local function is_map(value)
  if type(value) ~= "table" then return false end
  for key in pairs(value) do
    if type(key) ~= "string" then return false end
  end
  return true
end

--- One point as a line, or nil and the reason why it has none.
function M.line(point)
  if type(point) ~= "table" or not is_map(point.fields) or (point.tags ~= nil and not is_map(point.tags)) then
    return nil, "bad_type"
  end
  local at = point.timestamp
  if type(at) ~= "number" or at % 1 ~= 0 or math.abs(at) > TIME_MAX then return nil, "bad_time" end
  local key, why = series(point)
  if not key then return nil, why end
  local fields
  fields, why = field_set(point.fields)
  if not fields then return nil, why end
  if #key + #fields:match("^[^=]*") > KEY_MAX then return nil, "too_long" end
  return ("%s %s %d"):format(key, fields, at)
end

--- The bytes of a message: its database and lines, and the points left out by reason (nil when none was); or nil and
--- what is wrong with it as a whole.
---@param text string
---@return string? database, string[]|string lines, table<string, integer>? dropped
function M.of(text)
  local ok, message = pcall(cjson.decode, text)
  if not ok then return nil, "not JSON: " .. tostring(message) end
  if type(message) ~= "table" or type(message.database) ~= "string" or message.database == ""
    or type(message.points) ~= "table" then
    return nil, "not a message: no database or no points"
  end
  local lines, dropped = {}, nil
  for _, point in ipairs(message.points) do
    local line, why = M.line(point)
    if line then
      lines[#lines + 1] = line
    else
      dropped = dropped or {}
      dropped[why] = (dropped[why] or 0) + 1
    end
  end
  return message.database, lines, dropped
end

return M
