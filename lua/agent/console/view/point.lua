-- A point of /tail as a line.

local json = require("agent.json")
local text = require("agent.console.text")

local M = {}

local function value_text(value)
  if type(value) == "string" then return text.clean(value) end
  return type(value) == "table" and text.clean(json.encode(value)) or json.encode(value)
end

local function tags_text(tags)
  local list = {}
  for name, value in pairs(type(tags) == "table" and tags or {}) do
    list[#list + 1] = text.clean(name) .. "=" .. text.clean(value)
  end
  table.sort(list)
  return table.concat(list, " ")
end

--- point: { ns = string or list, measurement, timestamp, tags, value | fields = { value } }. "TIME NS NAME VALUE TAGS",
--- local time. nil for what is no point.
function M.line(point, width)
  if type(point) ~= "table" or point.measurement == nil then return nil end
  local fields = type(point.fields) == "table" and point.fields or point
  local ns = type(point.ns) == "table" and table.concat(point.ns, ",") or tostring(point.ns or "-")
  local at = text.number(point.timestamp)
  local line = ("%s %s %s %s %s"):format(at and os.date("%H:%M:%S", at) or "--:--:--", text.clean(ns),
    text.clean(point.measurement), value_text(fields.value), tags_text(point.tags)):gsub(" $", "")
  return text.cut(line, width)
end

return M
