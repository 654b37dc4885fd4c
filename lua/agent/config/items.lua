-- Checks the data of a registry file: namespace → items in the shape of contracts.md §1.2.

local join = require("agent.luafile").join
local namespace = require("agent.namespace")

local M = {}

local function check_item(item, path, report)
  if type(item) ~= "table" then return report(path, ("got a %s, want an item (a table)"):format(type(item))) end
  local kind = item.measurement_type
  if type(kind) ~= "string" or kind == "" then
    report(path, "an item needs a measurement_type such as \"CPU\" or \"PORT\"")
  end
  if item.name ~= nil and type(item.name) ~= "string" then report(join(path, "name"), "want a string") end
  local interval = item.interval
  if interval ~= nil and not (tonumber(interval) and tonumber(interval) >= 0) then
    report(join(path, "interval"), "want seconds, as a number or a string of digits")
  end
end

--- lines: key path → line, or nil. Returns an array of { key =, line = | nil, message = }, empty when all is
--- well.
function M.check(data, lines)
  local problems = {}
  local function report(key, message)
    problems[#problems + 1] = { key = key, line = lines and lines[key], message = message }
  end
  for ns, items in pairs(data) do
    local path = join("", ns)
    if not namespace.valid(ns) then
      report(path, "no name of a namespace: letters, digits, dots and -, 56 bytes at most")
    end
    if type(items) ~= "table" then
      report(path, ("got a %s, want a list of items"):format(type(items)))
    else
      for i, item in pairs(items) do
        local at = join(path, i)
        if type(i) ~= "number" then report(at, "want a list of items") else check_item(item, at, report) end
      end
    end
  end
  table.sort(problems, function(a, b)
    if (a.line or 0) ~= (b.line or 0) then return (a.line or 0) < (b.line or 0) end
    return a.key < b.key
  end)
  return problems
end

return M
