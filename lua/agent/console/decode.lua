-- JSON text as plain Lua values; null is nil.

local function without_null(value, null)
  if value == null then return nil end
  if type(value) ~= "table" then return value end
  for key, one in pairs(value) do value[key] = without_null(one, null) end
  return value
end

--- Returns the value, or nil for null and for what is no JSON.
---@param text string
return function(text)
  local cjson = require("cjson")
  local ok, value = pcall(cjson.decode, text)
  if not ok then return nil end
  return without_null(value, cjson.null)
end
