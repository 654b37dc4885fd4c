-- Parameters of a builtin: its schema { url = { type = "string", required = true, default =, description = } … }, and
-- values that come from a registry, where everything may be text.

local M = {}

local function to_number(value)
  local number = tonumber(value)
  if not number or number ~= number then return nil, ("%q is not a number"):format(tostring(value)) end
  return number
end

local function to_boolean(value)
  local text = tostring(value):lower()
  if text == "true" or text == "1" or text == "yes" or text == "on" then return true end
  if text == "false" or text == "0" or text == "no" or text == "off" then return false end
  return nil, ("%q is not true or false"):format(tostring(value))
end

local function to_string(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  return nil, ("a %s is not text"):format(kind)
end

-- "a, b" is a list too.
local function to_list(value)
  if type(value) == "table" then return value end
  local text, why = to_string(value)
  if not text then return nil, why end
  local list = {}
  for piece in text:gmatch("[^,]+") do
    piece = piece:match("^%s*(.-)%s*$")
    if piece ~= "" then list[#list + 1] = piece end
  end
  return list
end

local function to_table(value)
  if type(value) == "table" then return value end
  return nil, ("a %s is no table"):format(type(value))
end

local types = { string = to_string, number = to_number, boolean = to_boolean, list = to_list, table = to_table,
  any = function(value) return value end }

--- Why a schema is none; nil when it is.
function M.unfit(schema)
  if type(schema) ~= "table" then return "params is a table of parameters" end
  for name, one in next, schema do
    if type(name) ~= "string" then return "params: a parameter has a name" end
    if type(one) ~= "table" then return ("params.%s is a table: { type = \"string\" }"):format(name) end
    if not types[one.type or "string"] then
      return ("params.%s: type is string, number, boolean, list, table or any, not %s"):format(name, tostring(one.type))
    end
  end
end

--- The values given, as text of a JSON object or as a table: a table, or nil and what is wrong.
function M.given(params)
  if type(params) ~= "string" then return params or {} end
  if params:find("^%s*$") then return {} end
  local ok, value = pcall(require("cjson").decode, params)
  if not ok then return nil, "params: no JSON: " .. tostring(value) end
  if type(value) ~= "table" then return nil, "params: not a JSON object" end
  return value
end

local function unknown(schema, values)
  for name in pairs(values) do
    if not schema[name] then return ("params.%s: there is no such parameter"):format(tostring(name)) end
  end
end

--- The parameters that the function gets; nil and what is wrong. Without a schema: what was given.
function M.fit(schema, params)
  local given, why = M.given(params)
  if not given or not schema then return given, why end
  why = unknown(schema, given)
  if why then return nil, why end
  local values = {}
  for name, one in pairs(schema) do
    local value = given[name]
    if value == nil or value == "" and one.type and one.type ~= "string" then value = one.default end
    if value == nil then
      if one.required then return nil, ("params.%s is missing"):format(name) end
    else
      values[name], why = types[one.type or "string"](value)
      if why then return nil, ("params.%s: %s"):format(name, why) end
    end
  end
  return values
end

return M
