-- Messages on their way out: queued by topic, bounded in bytes, handed to the output in batches, kept
-- until the output has acknowledged them or the spool has them. One batch of a topic is under way at a time and
-- gathers what comes meanwhile, so the order within a topic stays; topics don't wait for each other.

local join = require("agent.publish.join").join

local M = {}
M.__index = M

local FIRST_DELAY, LONGEST_DELAY = 0.1, 30 -- seconds between tries of a topic that failed
local GATHER = 0.05                        -- seconds that messages for the spool gather
local LOOK, LONGEST_LOOK = 0.1, 2          -- seconds between looks at what waits
local SMALLEST_JOIN = 8 * 1024

--- options:
---   output       see publish/nsq.lua. send(batch, done): done(nil) acknowledges the batch; err.permanent
---                says that the messages of err.refused (default: all) are lost and the others acknowledged;
---                any other error hands the batch back. room(): takes another batch now; else pump() is to be called
---                when it does.
---                failing() (optional): nothing can be sent now, and not because it is busy. join_bytes
---                (optional): messages of a namespace may be joined to so many bytes.
---   spill        (batch, done) → whether the spool takes it now; done(err): it is safe there, or not. nil: no spool
---   max_bytes    of all messages held, queued and under way
---   max_messages likewise
---   batch_bytes  of one batch (one message may exceed it alone)
---   patience     seconds that a message may wait behind others before it goes to the spool
---   now          () → monotonic seconds
---   after        (seconds, fn) → a timer with :cancel()
---   call         (fn, …): calls back into other rooms, containing what they raise
---   random       () → [0, 1)
---   log
function M.new(options)
  local self = setmetatable({
    output = options.output, spill = options.spill,
    max_bytes = options.max_bytes,
    max_messages = options.max_messages,
    batch_bytes = options.batch_bytes or 1024 * 1024,
    join_bytes = options.output.join_bytes or 0,
    patience = options.patience or 5,
    now = options.now, after = options.after, call = options.call, log = options.log,
    random = options.random or math.random,
    topics = {},      -- name → { name, queue, first, last, since, sending, spilling, delay, retry }
    waiting = {},     -- topics that have something to send, in the order of their asking
    bytes = 0, messages = 0, sending = 0,
    queued = 0,       -- messages in queues
    spilling = 0,     -- bytes on their way to the spool
    look = LOOK,
    published = 0,    -- messages acknowledged since start
    published_bytes = 0,
    spooled = 0,      -- messages that went to the spool
    dropped = {},     -- messages by reason
    bursts = {},      -- reason → messages dropped since the output worked last
  }, M)
  return self
end

local function topic_of(self, name)
  local topic = self.topics[name]
  if not topic then
    topic = { name = name, queue = {}, first = 1, last = 0, delay = 0, spilling = 0 }
    self.topics[name] = topic
  end
  return topic
end

--- Counts messages that will not be published, by reason; the first of a burst is logged, and its end.
function M:drop(reason, count, why)
  count = count or 1
  self.dropped[reason] = (self.dropped[reason] or 0) + count
  if not self.bursts[reason] then
    self.log.error("outbox", "messages are dropped", { reason = reason, messages = count, why = why })
  end
  self.bursts[reason] = (self.bursts[reason] or 0) + count
end

local function end_bursts(self)
  for reason, count in pairs(self.bursts) do
    self.log.warning("outbox", "messages were dropped; the output works again", { reason = reason, messages = count })
  end
  self.bursts = {}
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
--- reached. `done(err)` is called once: nil when the output has it, or the spool.
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
  if t.first > t.last then t.since = self.now() end
  t.last = t.last + 1
  t.queue[t.last] = { head, body, done = done }
  self.bytes = self.bytes + size
  self.messages = self.messages + 1
  self.queued = self.queued + 1
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
  self.queued = self.queued - #messages
  topic.since = self.now()
  return { topic = topic.name, messages = messages, bytes = bytes }
end

local function put_back(self, topic, messages)
  for i = #messages, 1, -1 do
    topic.first = topic.first - 1
    topic.queue[topic.first] = messages[i]
  end
  self.queued = self.queued + #messages
end

-- Nobody holds the message any longer.
local function settle(self, message, err)
  self.bytes = self.bytes - size_of(message)
  self.messages = self.messages - 1
  if message.done then self.call(message.done, err) end
end

local function each_original(messages, visit)
  for _, message in ipairs(messages) do
    if message.parts then
      for _, part in ipairs(message.parts) do visit(part) end
    else
      visit(message)
    end
  end
end

--- Counts messages that the output has taken.
function M:delivered(messages, bytes)
  self.published = self.published + messages
  self.published_bytes = self.published_bytes + bytes
  self.failed = false
  if next(self.bursts) then end_bursts(self) end
end

--- What is to be done about the messages of a batch that the output will never take: returns an array of those that
--- are to be sent again, `alone` (they were joined, and that may be what is wrong), and how many are lost.
function M:refused(batch, err)
  local again, lost = {}, 0
  for _, message in ipairs(err.refused or batch.messages) do
    if message.parts and err.code ~= "E_BAD_TOPIC" then
      for _, part in ipairs(message.parts) do
        part.alone = true
        again[#again + 1] = part
      end
      self.join_bytes = math.floor(self.join_bytes / 2)
      if self.join_bytes < SMALLEST_JOIN then self.join_bytes = 0 end
    else
      lost = lost + (message.parts and #message.parts or 1)
    end
  end
  if lost > 0 then self:drop(err.code or "refused", lost, err.message) end
  return again, lost
end

local function acknowledged(self, batch)
  self:delivered(#batch.originals, batch.bytes)
  for _, message in ipairs(batch.originals) do settle(self, message) end
end

local function give_up(self, topic, batch, err)
  local again, lost = self:refused(batch, err)
  local gone = {}
  each_original(err.refused or batch.messages, function(message) gone[message] = true end)
  for _, message in ipairs(again) do gone[message] = nil end
  local kept = {}
  for _, message in ipairs(again) do kept[message] = true end
  self:delivered(#batch.originals - lost - #again, 0)
  for _, message in ipairs(batch.originals) do
    if gone[message] then
      settle(self, message, err)
    elseif not kept[message] then
      self.published_bytes = self.published_bytes + size_of(message)
      settle(self, message)
    end
  end
  put_back(self, topic, again)
end

local function retry_later(self, topic)
  if topic.retry then return end
  topic.delay = topic.delay == 0 and FIRST_DELAY or math.min(topic.delay * 2, LONGEST_DELAY)
  topic.retry = self.after(topic.delay * (0.5 + self.random() / 2), function()
    topic.retry = nil
    ask(self, topic)
    self:pump()
  end)
end

local function forget_if_idle(self, topic)
  if topic.first > topic.last and not topic.sending and not topic.retry and topic.spilling == 0 then
    self.topics[topic.name] = nil
  end
end

local function settled(self, topic)
  ask(self, topic)
  forget_if_idle(self, topic)
  self:pump()
  if self.on_empty and self.messages == 0 then self.on_empty() end
end

local function spilled(self, topic, messages, bytes, err)
  self.spilling = self.spilling - bytes
  topic.spilling = topic.spilling - 1
  if err then
    put_back(self, topic, messages)
    if self.failed then retry_later(self, topic) end
  else
    self.spooled = self.spooled + #messages
    for _, message in ipairs(messages) do settle(self, message) end
  end
  settled(self, topic)
  if self.on_spilled then self.on_spilled() end
end

-- Whether the spool takes these messages of a topic, which are in no queue.
local function to_spool(self, topic, messages, bytes)
  if not self.spill then return false end
  topic.spilling = topic.spilling + 1
  self.spilling = self.spilling + bytes
  local batch = { topic = topic.name, messages = messages, bytes = bytes }
  if self.spill(batch, function(err) spilled(self, topic, messages, bytes, err) end) then return true end
  topic.spilling = topic.spilling - 1
  self.spilling = self.spilling - bytes
  return false
end

local function answered(self, topic, batch, err)
  self.sending = self.sending - 1
  topic.sending = nil
  if not err then
    topic.delay, self.look = 0, LOOK
    acknowledged(self, batch)
  elseif err.permanent then
    give_up(self, topic, batch, err)
  else
    self.failed = true
    if not to_spool(self, topic, batch.originals, batch.bytes) then
      put_back(self, topic, batch.originals)
      retry_later(self, topic)
    end
  end
  settled(self, topic)
end

local function send_next(self)
  local topic = table.remove(self.waiting, 1)
  topic.asked = nil
  if topic.first > topic.last then return end -- the spool has it meanwhile
  local batch = take_batch(self, topic)
  batch.originals = batch.messages
  batch.messages = join(batch.messages, self.join_bytes)
  topic.sending = batch
  self.sending = self.sending + 1
  self.output:send(batch, function(err) answered(self, topic, batch, err) end)
end

-- Hands all that waits for `seconds` or longer to the spool, in batches, as far as it takes them. Returns whether
-- it took some.
local function spill_waiting(self, seconds, enough)
  local took, now = false, self.now()
  for _, topic in pairs(self.topics) do
    while topic.first <= topic.last and now - topic.since >= seconds and not (enough and enough()) do
      local since = topic.since
      local batch = take_batch(self, topic)
      topic.since = since
      if not to_spool(self, topic, batch.messages, batch.bytes) then
        put_back(self, topic, batch.messages)
        return took
      end
      took = true
    end
  end
  return took
end

-- Nothing can be sent, and not because the output is busy.
local function hopeless(self)
  return (self.failed or self.output.failing ~= nil and self.output:failing()) and not self.output:room()
end

local function crowded(self)
  return self.bytes - self.spilling > self.max_bytes / 2
end

local watch

-- Looks at what waits: behind a failing output, too long, or too much.
local function look(self)
  self.watching = nil
  local took = spill_waiting(self, hopeless(self) and 0 or self.patience)
  if crowded(self) then
    took = spill_waiting(self, 0, function() return not crowded(self) end) or took
  end
  self.look = took and LOOK or math.min(LONGEST_LOOK, self.look * 2)
  watch(self)
end

function watch(self)
  if self.watching or not self.spill or self.queued == 0 then return end
  local delay = self.look
  if delay == LOOK and (hopeless(self) or crowded(self)) then delay = GATHER end
  self.watching = self.after(delay, function() look(self) end)
end

--- Hands over what the output has room for. Called by itself whenever something may have changed;
--- after a row of put() calls it is the caller who says that they are complete.
function M:pump()
  if self.pumping then return end
  self.pumping = true
  while #self.waiting > 0 and self.output:room() do send_next(self) end
  self.pumping = false
  if self.queued > 0 then watch(self) end
end

--- Lets topics that wait after a failure try again now, for an output that has its own pauses.
function M:wake()
  for _, topic in pairs(self.topics) do
    if topic.retry then
      topic.retry:cancel()
      topic.retry = nil
      ask(self, topic)
    end
  end
end

--- Hands all that is queued to the spool, as far as it takes it.
function M:flush()
  if self.spill then spill_waiting(self, -1) end
end

--- Calls back once everything is acknowledged or in the spool, or after `seconds` with what is left:
--- callback(messages).
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
  self:wake()
  self:pump()
  if hopeless(self) then self:flush() end
end

--- For /me/status.
function M:status()
  return { messages = self.messages, bytes = self.bytes, sending = self.sending, spilling = self.spilling,
    published = self.published, published_bytes = self.published_bytes, spooled = self.spooled,
    dropped = self.dropped }
end

return M
