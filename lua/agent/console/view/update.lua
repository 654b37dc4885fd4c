-- What `agent update` tells: the difference that the registry's answer made.

local text = require("agent.console.text")

local M = {}

local function refusal(one)
  if type(one) ~= "table" then return tostring(one) end
  local name = one.name or (one.index and "item " .. tostring(one.index))
  return ("%s%s: %s"):format(tostring(one.ns or "?"), name and " " .. tostring(name) or "",
    tostring(one.reason or one.message or one.code))
end

--- change: the answer of /update. Returns lines.
function M.lines(change, width)
  local lines = {}
  local function add(mark, list, line_of)
    for _, one in ipairs(type(list) == "table" and list or {}) do
      lines[#lines + 1] = text.cut(text.clean(mark .. " " .. (line_of or tostring)(one)), width)
    end
  end
  add("+", change.added)
  add("~", change.changed)
  add("-", change.removed)
  add("refused", change.refused, refusal)
  add("failed", change.errors, refusal)
  add("applied", change.applied)
  add("needs a restart:", change.restart)
  local function count(list) return type(list) == "table" and #list or 0 end
  local took = text.number(change.seconds)
  if change.error then
    lines[#lines + 1] = text.cut("not updated: " .. text.clean(change.error), width)
  else
    lines[#lines + 1] = text.cut(("%d added, %d changed, %d removed, %d refused%s"):format(count(change.added),
      count(change.changed), count(change.removed), count(change.refused),
      took and (", in %s"):format(text.milliseconds(took * 1000)) or ""), width)
  end
  return lines
end

return M
