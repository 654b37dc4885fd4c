-- Helpers for the specs of agent.formats: a whole reading, and the same in slices.

local M = {}

--- Reads all, `max` entries at a time: { metrics = …, refused = { { index, name, reason } … }, error = … }.
--- `open` is a module's reader function; lenient unless options.strict.
function M.read(open, text, options, max)
  options = options or {}
  local found = { metrics = {}, refused = {} }
  local reader = open(text, {
    code = options.code, prefix = options.prefix,
    refuse = not options.strict and function(index, name, reason)
      found.refused[#found.refused + 1] = { index = index, name = name, reason = reason }
    end or nil,
  })
  local more, why, code
  for _ = 1, #text + 10 do
    more, why, code = reader:read(found.metrics, max or 1e6)
    if not more then break end
  end
  assert(more ~= true, "reading does not end")
  if more == nil then found.error, found.code = why, code end
  return found
end

--- What must hold for every metric that a reader gives, as an error message; nil when it does.
function M.defect(metric)
  local value = metric.value
  if type(metric.name) ~= "string" or not metric.name:find("^[%w%-_.]+$") then
    return "name " .. tostring(metric.name)
  end
  if type(value) == "number" then
    if value ~= value or math.abs(value) == math.huge then return "value of " .. metric.name end
  elseif type(value) ~= "string" and type(value) ~= "boolean" then
    return "type of the value of " .. metric.name
  end
  for key, text in pairs(metric.tags or {}) do
    if type(key) ~= "string" or key == "" then return "tag key of " .. metric.name end
    if type(text) ~= "string" or not text:find("%S") then return "tag " .. key .. " of " .. metric.name end
  end
  local at = metric.timestamp
  if at ~= nil and (type(at) ~= "number" or at % 1 ~= 0 or math.abs(at) > 1e12) then
    return "timestamp of " .. metric.name
  end
end

local function mutate(text, random)
  local at = random(#text)
  local kind = random(4)
  if kind == 1 then return text:sub(1, at - 1) .. text:sub(at + 1) end
  if kind == 2 then return text:sub(1, at) .. string.char(random(0, 255)) .. text:sub(at + 1) end
  if kind == 3 then return text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1) end
  local from = random(#text)
  return text:sub(1, at) .. text:sub(from, from + random(20)) .. text:sub(at + 1)
end

--- Changes `text` in a few places, `times` over from a fixed seed, and hands each to check(changed).
function M.mutations(text, times, check)
  local state = 12345
  local function random(low, high)
    state = (state * 1103515245 + 12345) % 2 ^ 31
    if not high then low, high = 1, low end
    return low + math.floor(state / 2 ^ 31 * (high - low + 1))
  end
  for _ = 1, times do
    local changed = text
    for _ = 1, random(5) do changed = mutate(changed, random) end
    check(changed)
  end
end

--- The property that all readers have: whatever the text, reading ends without raising, every metric is valid, and
--- slices of 3 give what the whole gives, as same(a, b) sees it (luassert's without one). Returns what was read.
function M.check(open, text, options, same)
  local whole = M.read(open, text, options)
  for _, metric in ipairs(whole.metrics) do
    local defect = M.defect(metric)
    assert(not defect, defect)
  end
  local sliced = M.read(open, text, options, 3)
  same = same or require("luassert").same
  same(whole, sliced)
  return whole
end

return M
