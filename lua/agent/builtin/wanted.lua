-- Which runs of builtin functions the registry and the configuration ask for.

local function as_list(value)
  if value == nil then return nil end
  return type(value) == "table" and value or { value }
end

local function item_of(record)
  return { id = ("BUILTIN %s %s"):format(record.ns, record.name), ns = record.ns, name = record.name,
    limit = record.timeout, fn = record.run or record.name:gsub("^PLUGIN%.", ""), params = record.params,
    asked = record.interval }
end

--- The items by their ids; where both ask for one, the registry's holds.
---@param records table[] of the registry; those of type "BUILTIN" count
---@param builtins table? conf.builtins: name = { interval =, ns = | all, run = function, timeout =, params = }
---@param namespaces fun(): string[]
---@return table<string, table> items { id, ns, name, fn, params, asked = interval | nil, limit = timeout | nil }
return function(records, builtins, namespaces)
  local wanted = {}
  local function add(record)
    local item = item_of(record)
    wanted[item.id] = wanted[item.id] or item
  end
  for _, record in ipairs(records) do
    if record.type == "BUILTIN" then add(record) end
  end
  for name, one in pairs(builtins or {}) do
    for _, ns in ipairs(as_list(one.ns) or namespaces()) do
      add({ ns = ns, name = name, run = one.run, interval = one.interval, timeout = one.timeout, params = one.params })
    end
  end
  return wanted
end
