-- Plain Lua values as JSON text, keys sorted, integers exact. Small things only: answers of the API.

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function text(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function number(n)
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  if n % 1 == 0 and math.abs(n) <= 2 ^ 53 then return ("%.0f"):format(n) end
  local short = ("%.15g"):format(n)
  return tonumber(short) == n and short or ("%.17g"):format(n)
end

local encode
local List = {} -- metatable of tables that are arrays even when they are empty

local function array(t)
  local parts = {}
  for i = 1, #t do parts[i] = encode(t[i]) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object(t)
  local keys, parts = {}, {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do parts[i] = text(tostring(key)) .. ":" .. encode(t[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value)
  local kind = type(value)
  if kind == "table" then
    return (value[1] ~= nil or getmetatable(value) == List) and array(value) or object(value)
  end
  if kind == "string" then return text(value) end
  if kind == "number" then return number(value) end
  return kind == "boolean" and tostring(value) or "null"
end

--- nil, functions and what has no JSON form become null; an empty table is an object unless it is a list().
M.encode = encode

--- A copy of the array `t` that is written as `[]` when it is empty.
function M.list(t)
  return setmetatable({ unpack(t) }, List)
end

return M
