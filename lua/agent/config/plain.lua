-- Copies a value that a foreign file returned, letting only plain data through.

local join = require("agent.luafile").join

local most_values = 200000
local deepest = 32

local function refuse(path, message)
  error({ key = path, message = message }, 0)
end

local function copy(value, path, state, depth)
  local kind = type(value)
  if kind == "string" or kind == "boolean" then return value end
  if kind == "number" then
    if value - value ~= 0 then refuse(path, "not a finite number") end
    return value
  end
  if kind ~= "table" then refuse(path, ("a %s is no plain value"):format(kind)) end
  if state.open[value] then refuse(path, "the table contains itself") end
  if depth > deepest then refuse(path, ("tables nested deeper than %d"):format(deepest)) end
  state.open[value] = true
  local plain = {}
  for key, item in next, value do
    local at = join(path, key)
    if type(key) ~= "string" and type(key) ~= "number" then
      refuse(path, ("a %s is no key"):format(type(key)))
    end
    state.values = state.values + 1
    if state.values > most_values then refuse(path, ("more than %d values"):format(most_values)) end
    plain[key] = copy(item, at, state, depth + 1)
  end
  state.open[value] = nil
  return plain
end

--- A deep copy of `value`; or nil, { key = path, message = why }. Functions, userdata, cycles, NaN and
--- too much of anything are refused.
local function plain(value)
  local ok, result = pcall(copy, value, "", { open = {}, values = 0 }, 1)
  if ok then return result end
  if type(result) ~= "table" then result = { key = "", message = tostring(result) } end
  return nil, result
end

return plain
