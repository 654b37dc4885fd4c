-- From the spool to the output, oldest first, beside what is new: one batch at a time, no larger than what the output
-- acknowledges quickly, and a rest after each. So new messages never wait long behind old ones.

local join = require("agent.publish.join").join

local M = {}
M.__index = M

local SMALLEST, LARGEST = 16 * 1024, 256 * 1024 -- bytes of a batch
local QUICK, SLOW = 0.1, 0.25                   -- seconds of an answer
local SHORTEST_REST, LONGEST_REST = 0.005, 1
local REST_SHARE = 1 / 3                        -- of the time that the answer took
local FIRST_DELAY, LONGEST_DELAY = 0.1, 30      -- after a failure

--- options: spool, outbox (whose output it shares, and which counts), now, after, random.
function M.new(options)
  return setmetatable({ spool = options.spool, outbox = options.outbox, output = options.outbox.output,
    now = options.now, after = options.after, random = options.random or math.random,
    size = SMALLEST * 4, delay = 0, delivered = 0 }, M)
end

local step

local function pause(self, seconds)
  self.timer = self.after(seconds, function()
    self.timer = nil
    self:kick()
  end)
end

local function try_later(self)
  self.busy = false
  self.delay = math.min(LONGEST_DELAY, math.max(FIRST_DELAY, self.delay * 2))
  pause(self, self.delay * (0.5 + self.random() / 2))
end

local function close_segment(self)
  if self.segment then self.segment:close() end
  self.segment, self.file, self.batch = nil, nil, nil
end

-- The batch that comes next; nil and whether the file is torn at its end.
local function next_batch(self)
  local alone = self.alone and table.remove(self.alone)
  if alone then return { topic = self.topic, messages = { alone }, bytes = #alone[1] + #alone[2], count = 1 } end
  local topic, messages, bytes = self.segment:next(self.size)
  if not topic then return nil, messages end
  self.topic = topic
  return { topic = topic, messages = join(messages, self.outbox.join_bytes), bytes = bytes, count = #messages }
end

local function adapt(self, took)
  if took > SLOW then
    self.size = math.max(SMALLEST, self.size / 2)
  elseif took < QUICK then
    self.size = math.min(LARGEST, self.size * 2)
  end
end

local function answered(self, batch, began, err)
  self.busy = false
  if self.closed then return end
  if err and not err.permanent then return try_later(self) end
  self.batch, self.delay = nil, 0
  local lost = batch.count
  if err then
    self.alone, lost = self.outbox:refused(batch, err)
    lost = batch.count - lost - #self.alone
  end
  self.delivered = self.delivered + lost
  self.outbox:delivered(lost, batch.bytes)
  local took = self.now() - began
  adapt(self, took)
  pause(self, math.min(LONGEST_REST, math.max(SHORTEST_REST, took * REST_SHARE)))
end

local function send(self)
  local torn
  if not self.batch then self.batch, torn = next_batch(self) end
  if not self.batch then
    local file = self.file
    close_segment(self)
    return self.spool:finish(file, torn, function() step(self) end)
  end
  if not self.output:room() then
    self.busy = false -- kick() comes when there is
    return
  end
  local batch, began = self.batch, self.now()
  self.output:send(batch, function(err) answered(self, batch, began, err) end)
end

function step(self)
  if self.closed then
    self.busy = false
    return
  end
  if self.segment then return send(self) end
  self.spool:read(function(err, file, segment)
    if err then return try_later(self) end
    if not segment then
      self.busy = false
      return
    end
    self.file, self.segment = file, segment
    if self.closed then return self:close() end
    send(self)
  end)
end

--- Goes on with what is on disk, if there is something and the output may have room for it.
function M:kick()
  if self.busy or self.timer or self.closed or not (self.segment or self.spool:has_files()) then return end
  if not self.output:room() then return end
  self.busy = true
  self.spool:open(function(err)
    if err then return try_later(self) end
    step(self)
  end)
end

--- Whether nothing is read or sent just now.
function M:idle()
  return not self.busy and not self.timer and not self.segment
end

--- Stops; what is not acknowledged stays on disk.
function M:close()
  self.closed = true
  if self.timer then self.timer:cancel() end
  if self.file then self.spool:release(self.file) end
  close_segment(self)
end

return M
