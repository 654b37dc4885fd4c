-- A batch of messages as the parts an output can send at once, and their answers as one.

local M = {}

local function append(part, message, size)
  part.messages[#part.messages + 1] = message
  part.bytes = part.bytes + size
end

local function empty(topic)
  return { topic = topic, messages = {}, bytes = 0 }
end

-- The bytes of all messages when they may go in one part, as nearly always; else nil.
local function bytes_of_one(messages, message_max, body_max)
  local bytes = 0
  for i = 1, #messages do
    local size = #messages[i][1] + #messages[i][2]
    if size == 0 or size > message_max then return nil end
    bytes = bytes + size
  end
  return messages[1] and 4 + 4 * #messages + bytes <= body_max and bytes or nil
end

local NONE = {}

--- Parts { topic, messages, bytes } whose MPUB body is at most body_max bytes, without the messages that are
--- empty or larger than message_max. Returns the parts and an array of the messages left out; neither's messages are to
--- be changed.
function M.split(batch, message_max, body_max)
  local bytes = bytes_of_one(batch.messages, message_max, body_max)
  if bytes then return { { topic = batch.topic, messages = batch.messages, bytes = bytes } }, NONE end
  local parts, left_out = {}, {}
  local part, body
  for _, message in ipairs(batch.messages) do
    local size = #message[1] + #message[2]
    if size == 0 or size > message_max then
      left_out[#left_out + 1] = message
    else
      if not part or body + 4 + size > body_max then
        part, body = empty(batch.topic), 4
        parts[#parts + 1] = part
      end
      append(part, message, size)
      body = body + 4 + size
    end
  end
  return parts, left_out
end

--- Two parts of one that has several messages.
function M.halve(part)
  local first, second = empty(part.topic), empty(part.topic)
  local middle = math.floor(#part.messages / 2)
  for i, message in ipairs(part.messages) do
    append(i <= middle and first or second, message, #message[1] + #message[2])
  end
  return first, second
end

--- Gives each part a done(err) of its own; the batch's done(err) is called once, after the last of them: with
--- a transient error if there was one, since then all is to be sent again, else with a permanent one whose
--- `refused` holds what was dropped (the messages `left_out` before it came to parts, too).
function M.gather(parts, left_out, done)
  if #parts == 1 and not left_out[1] then
    parts[1].done = done
    return
  end
  local waiting, transient, permanent = #parts, nil, nil
  if left_out[1] then
    permanent = { code = "E_BAD_MESSAGE", message = "empty, or larger than nsqd takes", permanent = true,
      refused = left_out }
  end
  local function part_done(err)
    waiting = waiting - 1
    if err and err.permanent then
      for _, message in ipairs(permanent and permanent.refused or {}) do
        table.insert(err.refused, message)
      end
      permanent = err
    elseif err then
      transient = err
    end
    if waiting == 0 then done(transient or permanent) end
  end
  for _, part in ipairs(parts) do part.done = part_done end
  if waiting == 0 then done(permanent) end
end

return M
