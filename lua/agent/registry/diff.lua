-- What one set of records has that another has not.

local same = require("agent.same")

local M = {}

--- "NS TYPE NAME": what an item is known by.
function M.key(record)
  return ("%s %s %s"):format(record.ns, record.type, record.name)
end

local function by_key(records)
  local map = {}
  for _, record in ipairs(records) do map[M.key(record)] = record end
  return map
end

---- Compares two lists of records. Returns { added, changed, removed }: sorted arrays of keys.
function M.between(old, new)
  local before, after = by_key(old), by_key(new)
  local result = { added = {}, changed = {}, removed = {} }
  for key, record in pairs(after) do
    local list = not before[key] and result.added or not same(before[key], record) and result.changed
    if list then list[#list + 1] = key end
  end
  for key in pairs(before) do
    if not after[key] then result.removed[#result.removed + 1] = key end
  end
  for _, list in pairs(result) do table.sort(list) end
  return result
end

return M
