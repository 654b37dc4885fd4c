-- Small messages of a namespace made into one: nsqd and whoever reads from it work by the message.

local M = {}

local TAIL = '],"precision":"s"}' -- see points.lua
local OPEN = 91 -- "["
local SMALL = 4096 -- bytes of a body; copying larger ones costs more than it saves

local function joinable(message)
  local body = message[2]
  return not message.alone and #body <= SMALL and body:byte() == OPEN and body:sub(-#TAIL) == TAIL
end

local function joined(messages, from, to)
  local pieces, parts = {}, {}
  for i = from, to do
    pieces[#pieces + 1] = messages[i][2]:sub(2, -#TAIL - 1)
    parts[#parts + 1] = messages[i]
  end
  return { messages[from][1], "[" .. table.concat(pieces, ",") .. TAIL, parts = parts }
end

-- The last of the messages that can be one with the message at `from`.
local function reach(messages, from, max)
  local head, size = messages[from][1], #messages[from][1] + #messages[from][2]
  if not joinable(messages[from]) then return from end
  local to = from
  while messages[to + 1] and messages[to + 1][1] == head and joinable(messages[to + 1]) do
    size = size + #messages[to + 1][2]
    if size > max then break end
    to = to + 1
  end
  return to
end

--- An array of messages { head, body } in which small neighbours with the same head are one of at most `max` bytes;
--- `parts` of that one are the messages it was made of. A message with `alone` stays as it is, and so does one whose
--- body isn't as points.lua makes it.
function M.join(messages, max)
  if max <= 0 or not messages[2] then return messages end
  local list, at = {}, 1
  while messages[at] do
    local to = reach(messages, at, max)
    list[#list + 1] = to == at and messages[at] or joined(messages, at, to)
    at = to + 1
  end
  return list
end

return M
