-- Numbered points: all that is to be known of one follows from its number and that of the post it was in, so that
-- whoever reads it can tell whether it is what was sent.

local M = {}

local MANY = 20 -- points of each 25th post

--- How many points a post has whose first one is `number`.
function M.count(number)
  return number % 25 == 0 and MANY or 1
end

--- The namespace that a post goes to.
function M.ns(post, topics)
  return ("chaos%d.loda"):format(post % topics)
end

-- Mostly short, now and then some kilobytes.
local function pad(number)
  local length = number % 61 == 0 and 6000 or number * 37 % 200 + 1
  return string.char(97 + number % 26):rep(length)
end

--- The body of a post.
function M.body(post)
  local list = {}
  for number = post, post + M.count(post) - 1 do
    list[#list + 1] = ('{"name":"n","value":%d,"tags":{"post":"%d","pad":"%s"}}'):format(number, post, pad(number))
  end
  return "[" .. table.concat(list, ",") .. "]"
end

--- What is wrong with a decoded point of a topic, or nil.
function M.wrong(point, topic, topics)
  local number, tags = point.fields.value, point.tags
  local post = tonumber(tags.post)
  if point.measurement ~= "RUN.n" then return "a measurement nobody sent: " .. tostring(point.measurement) end
  if not post or number < post or number >= post + M.count(post) then return "a point outside its post" end
  if tags.pad ~= pad(number) then return ("point %d was changed on its way"):format(number) end
  if topic ~= "collect." .. M.ns(post, topics) then return ("point %d came by topic %s"):format(number, topic) end
end

return M
