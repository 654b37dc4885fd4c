-- Messages on their way out: queued by topic, bounded in bytes, handed to the output in batches, kept
-- until the output has acknowledged them. One batch of a topic is under way at a time, so the order
-- within a topic stays; topics don't wait for each other.

local M = {}
M.__index = M

local FIRST_DELAY, LONGEST_DELAY = 0.1, 30 -- seconds between tries of a topic that failed

--- options:
---   output       see publish/nsq.lua. send(batch, done): done(nil) acknowledges the batch; err.permanent
---                says that the messages of err.refused (default: all) are lost and the others acknowledged;
---                any other error hands the batch back. room(): takes another batch now; else calls on_room.
---   max_bytes    of all messages held, queued and under way
---   max_messages likewise
---   batch_bytes  of one batch (one message may exceed it alone)
---   now          () → monotonic seconds
---   after        (seconds, fn) → a timer with :cancel()
---   call         (fn, …): calls back into other rooms, containing what they raise
---   random       () → [0, 1)
---   log
function M.new(options)
  local self = setmetatable({
    output = options.output,
    max_bytes = options.max_bytes,
    max_messages = options.max_messages,
    batch_bytes = options.batch_bytes or 1024 * 1024,
    now = options.now, after = options.after, call = options.call, log = options.log,
    random = options.random or math.random,
    topics = {},      -- name → { name, queue, first, last, sending, delay, retry }
    waiting = {},     -- topics that have something to send, in the order of their asking
    bytes = 0, messages = 0, sending = 0,
    published = 0,    -- messages acknowledged since start
    published_bytes = 0,
    dropped = {},     -- messages by reason
  }, M)
  self.output.on_room = function() self:pump() end
  return self
end

local function topic_of(self, name)
  local topic = self.topics[name]
  if not topic then
    topic = { name = name, queue = {}, first = 1, last = 0, delay = 0 }
    self.topics[name] = topic
  end
  return topic
end

--- Counts messages that will not be published, by reason.
function M:drop(reason, count)
  self.dropped[reason] = (self.dropped[reason] or 0) + (count or 1)
end

-- A topic with work asks for its turn, unless it asked already, is sending, or waits after a failure.
local function ask(self, topic)
  if topic.asked or topic.sending or topic.retry or topic.first > topic.last then return end
  topic.asked = true
  self.waiting[#self.waiting + 1] = topic
end

--- Whether so many messages of so many bytes together would be taken now.
function M:fits(messages, bytes)
  return self.bytes + bytes <= self.max_bytes and self.messages + messages <= self.max_messages
end

--- Takes the message `head .. body` for a topic. Returns true, or nil and "full" when the bounds are
--- reached (the caller still has it). `done(err)` is called once: nil when the output has it.
---@param topic string
---@param head string
---@param body string
---@param done? fun(err: table?)
function M:put(topic, head, body, done)
  local size = #head + #body
  if not self:fits(1, size) then
    self:drop("full")
    return nil, "full"
  end
  local t = topic_of(self, topic)
  t.last = t.last + 1
  t.queue[t.last] = { head, body, done = done }
  self.bytes = self.bytes + size
  self.messages = self.messages + 1
  ask(self, t)
  return true
end

local function size_of(message)
  return #message[1] + #message[2]
end

local function take_batch(self, topic)
  local messages, bytes = {}, 0
  while topic.first <= topic.last do
    local message = topic.queue[topic.first]
    local size = size_of(message)
    if #messages > 0 and bytes + size > self.batch_bytes then break end
    messages[#messages + 1] = message
    bytes = bytes + size
    topic.queue[topic.first] = nil
    topic.first = topic.first + 1
  end
  return { topic = topic.name, messages = messages, bytes = bytes }
end

-- The batch is settled: nobody holds its messages any longer. Those in `refused` will never be
-- published, the others are.
local function settle(self, batch, refused, err)
  self.bytes = self.bytes - batch.bytes
  self.messages = self.messages - #batch.messages
  local lost = {}
  for _, message in ipairs(refused) do lost[message] = err end
  for _, message in ipairs(batch.messages) do
    if not lost[message] then
      self.published = self.published + 1
      self.published_bytes = self.published_bytes + size_of(message)
    end
    if message.done then self.call(message.done, lost[message]) end
  end
end

local function give_up(self, batch, err)
  local refused = err.refused or batch.messages
  self:drop(err.code or "refused", #refused)
  self.log.error("outbox", "the output refused messages for good; they are dropped",
    { topic = batch.topic, messages = #refused, code = err.code, reason = err.message })
  settle(self, batch, refused, err)
end

local function put_back(topic, batch)
  for i = #batch.messages, 1, -1 do
    topic.first = topic.first - 1
    topic.queue[topic.first] = batch.messages[i]
  end
end

local function retry_later(self, topic)
  topic.delay = topic.delay == 0 and FIRST_DELAY or math.min(topic.delay * 2, LONGEST_DELAY)
  topic.retry = self.after(topic.delay * (0.5 + self.random() / 2), function()
    topic.retry = nil
    ask(self, topic)
    self:pump()
  end)
end

local function forget_if_idle(self, topic)
  if topic.first > topic.last and not topic.sending and not topic.retry then
    self.topics[topic.name] = nil
  end
end

local function answered(self, topic, batch, err)
  self.sending = self.sending - 1
  topic.sending = nil
  if not err then
    topic.delay = 0
    settle(self, batch, {})
  elseif err.permanent then
    give_up(self, batch, err)
  else
    put_back(topic, batch)
    retry_later(self, topic)
  end
  ask(self, topic)
  forget_if_idle(self, topic)
  self:pump()
  if self.on_empty and self.messages == 0 then self.on_empty() end
end

local function send_next(self)
  local topic = table.remove(self.waiting, 1)
  topic.asked = nil
  local batch = take_batch(self, topic)
  topic.sending = batch
  self.sending = self.sending + 1
  self.output:send(batch, function(err) answered(self, topic, batch, err) end)
end

--- Hands over what the output has room for. Called by itself whenever something may have changed;
--- after a row of put() calls it is the caller who says that they are complete.
function M:pump()
  if self.pumping then return end
  self.pumping = true
  while #self.waiting > 0 and self.output:room() do send_next(self) end
  self.pumping = false
end

--- Calls back once everything is acknowledged, or after `seconds` with what is left: callback(messages).
function M:drain(seconds, callback)
  local timer
  local function finish()
    self.on_empty = nil
    timer:cancel()
    callback(self.messages)
  end
  timer = self.after(seconds, finish)
  if self.messages == 0 then return finish() end
  self.on_empty = finish
  for _, topic in pairs(self.topics) do
    if topic.retry then
      topic.retry:cancel()
      topic.retry = nil
      ask(self, topic)
    end
  end
  self:pump()
end

--- For /me/status.
function M:status()
  return { messages = self.messages, bytes = self.bytes, sending = self.sending,
    published = self.published, published_bytes = self.published_bytes, dropped = self.dropped }
end

return M
