-- Which namespaces this machine belongs to and which items each of them asks for. A source answers with
-- the whole picture; what is wrong in it is refused piece by piece, and a source that fails changes nothing.

local namespace = require("agent.namespace")

local M = {}
M.__index = M

--- options: source(callback(err, { [ns] = { item, … } })), now () → monotonic seconds, log.
--- An item is a flat table of contracts.md §1.2.2, with a measurement_type at least.
function M.new(options)
  return setmetatable({ source = options.source, now = options.now, log = options.log,
    items = {}, names = {}, refused = {}, waiting = {} }, M)
end

local function check_item(item)
  if type(item) ~= "table" then return nil, "an item is a table, not a " .. type(item) end
  if type(item.measurement_type) ~= "string" then return nil, "measurement_type is missing" end
  for key, value in pairs(item) do
    if type(key) ~= "string" or type(value) == "table" then
      return nil, ("%s is not a plain value"):format(tostring(key))
    end
  end
  return item
end

local function accept(items, ns, refused)
  local good = {}
  for i, item in ipairs(items) do
    local ok, why = check_item(item)
    if ok then
      good[#good + 1] = item
    else
      refused[#refused + 1] = { ns = ns, name = type(item) == "table" and item.name or nil, index = i, reason = why }
    end
  end
  return good
end

local function apply(self, data)
  local items, names, refused = {}, {}, {}
  for ns, list in pairs(data) do
    if not namespace.valid(ns) then
      refused[#refused + 1] = { ns = tostring(ns), reason = "no valid namespace: 1 to 56 of A-Z a-z 0-9 . _ -" }
    elseif type(list) ~= "table" then
      refused[#refused + 1] = { ns = ns, reason = "a namespace is a list of items, not a " .. type(list) }
    else
      items[ns] = accept(list, ns, refused)
      names[#names + 1] = ns
    end
  end
  table.sort(names)
  for _, one in ipairs(refused) do
    self.log.warning("registry", "refused: " .. one.reason, { ns = one.ns, item = one.name, index = one.index })
  end
  self.items, self.names, self.refused = items, names, refused
  self.updated = self.now()
end

--- Asks the source and applies its answer; callback(err). Calls while one is under way share it.
---@param callback fun(err: table?)
function M:update(callback)
  self.waiting[#self.waiting + 1] = callback
  if #self.waiting > 1 then return end
  self.source(function(err, data)
    if err then
      self.log.error("registry", "no answer; what was known stays", { reason = err.message })
    else
      apply(self, data)
    end
    local waiting = self.waiting
    self.waiting = {}
    for _, answer in ipairs(waiting) do answer(err) end
  end)
end

--- The machine's namespaces, sorted; not to be changed.
---@return string[]
function M:namespaces()
  return self.names
end

--- The interval in seconds that items of a type ask for, the shortest of all namespaces; nil when none does.
function M:interval(measurement_type)
  local shortest
  for _, list in pairs(self.items) do
    for _, item in ipairs(list) do
      local seconds = item.measurement_type == measurement_type and tonumber(item.interval)
      if seconds and seconds > 0 and (not shortest or seconds < shortest) then shortest = seconds end
    end
  end
  return shortest
end

return M
