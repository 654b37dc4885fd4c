-- Reads the bodies of messages (contracts.md §2) back, point by point: what is published is looked at only when
-- somebody asks for it. A quote inside a JSON string is escaped, so that the texts searched for here, with their
-- bare quotes, stand between the values only.

local M = {}

local BEGIN, NEXT = '{"measurement":"', ',{"measurement":"'
local TAIL = '],"precision":"s"}'
local SHAPE = '^{"measurement":"(.-)","timestamp":(%d+),"tags":{(.*)},"fields":{"value":(.*)}}$'

--- Iterates over the points of a body: their JSON texts and their names, as they are in JSON.
function M.each(body)
  local at = body:find(BEGIN, 1, true)
  return function()
    if not at then return nil end
    local following = body:find(NEXT, at + 1, true)
    local text = body:sub(at, following and following - 1 or #body - #TAIL)
    at = following and following + 1
    return text, text:match('^{"measurement":"(.-)","timestamp":')
  end
end

local function plain(text)
  if not text:find("\\", 1, true) then return text end
  return require("cjson").decode('["' .. text .. '"]')[1]
end

-- `"name":"value",…` as a table.
local function tags_of(text)
  local tags = {}
  if text:find("\\", 1, true) then return require("cjson").decode("{" .. text .. "}") end
  for name, value in text:gmatch('"([^"]*)":"([^"]*)"') do tags[name] = value end
  return tags
end

local words = { ["true"] = true, ["false"] = false }

local function value_of(text)
  if words[text] ~= nil then return words[text] end
  local string = text:match('^"(.*)"$')
  return string and plain(string) or tonumber(text)
end

--- A point's text as name, value (number, string or boolean), tags, timestamp; nil when it is none.
function M.parse(text)
  local name, timestamp, tags, value = text:match(SHAPE)
  if not name then return nil end
  return plain(name), value_of(value), tags_of(tags), tonumber(timestamp)
end

return M
