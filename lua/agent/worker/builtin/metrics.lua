-- What a function returned, as plain metrics: a list of { name =, value =, tags =, timestamp = }, or a table of
-- name = value, or both in one.

local M = {}

local MOST, BYTES = 5000, 2 ^ 19

local function plain_tags(tags)
  if tags == nil then return nil end
  if type(tags) ~= "table" then return nil, "tags is a table" end
  local made, count = {}, 0
  for key, value in next, tags do
    local kind = type(value)
    if type(key) ~= "string" or (kind ~= "string" and kind ~= "number" and kind ~= "boolean") then
      return nil, "a tag is text = text"
    end
    count = count + 1
    if count > 50 then return nil, "more than 50 tags" end
    made[key] = kind == "string" and value or tostring(value)
  end
  return made
end

local function unfit(name, value)
  if type(name) ~= "string" or name == "" or #name > 200 then return "a name is text of 1 to 200 bytes" end
  if name:find("[^%w%._-]") then return ("name %q: only letters, digits, - _ and . are taken"):format(name) end
  local kind = type(value)
  if kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then return name .. ": not a finite number" end
  elseif kind ~= "string" and kind ~= "boolean" then
    return ("%s: a value is a number, text or a boolean, not a %s"):format(name, kind)
  end
end

local function add(made, name, value, tags, timestamp)
  local why = unfit(name, value)
  local plain
  if not why then plain, why = plain_tags(tags) end
  if not why and timestamp ~= nil and type(timestamp) ~= "number" then why = name .. ": a timestamp is a number" end
  if why then
    made.why = made.why or why
    made.refused = made.refused + 1
    return
  end
  local bytes = #name + (type(value) == "string" and #value or 8)
  for key, one in next, plain or {} do bytes = bytes + #key + #one end
  made.bytes = made.bytes + bytes
  if #made.list == MOST then error("more than 5000 metrics", 0) end
  if made.bytes > BYTES then error("more than 512 KiB of metrics", 0) end
  made.list[#made.list + 1] = { name = name, value = value, tags = plain, timestamp = timestamp }
end

--- The list; how many were refused; why the first was. Raises a sentence when there are too many.
function M.plain(given)
  local made = { list = {}, refused = 0, bytes = 0 }
  for key, one in next, given do
    if type(key) == "string" then
      add(made, key, one)
    elseif type(one) == "table" then
      add(made, rawget(one, "name"), rawget(one, "value"), rawget(one, "tags"), rawget(one, "timestamp"))
    else
      add(made, nil)
    end
  end
  return made.list, made.refused, made.why, made.bytes
end

return M
