-- Who waits for an acknowledgement: one timer for all of them, since all wait equally long, and none
-- when nobody waits.

local M = {}
M.__index = M

local LATE = { code = "timeout", message = "not acknowledged in time; it stays queued and may still arrive" }

--- seconds: how long each waits; now () → monotonic seconds; after(seconds, fn) → timer.
function M.new(seconds, now, after)
  return setmetatable({ seconds = seconds, now = now, after = after }, M)
end

local function leave(self, ticket)
  local before, behind = ticket.before, ticket.behind
  if before then before.behind = behind else self.first = behind end
  if behind then behind.before = before else self.last = before end
end

local watch

local function expire(self)
  self.timer = nil
  local now = self.now()
  while self.first and self.first.deadline <= now do
    local ticket = self.first
    leave(self, ticket)
    ticket.done, ticket.callback = nil, ticket.done
    ticket.callback(LATE)
  end
  watch(self)
end

function watch(self)
  if self.timer or not self.first then return end
  self.timer = self.after(math.max(0, self.first.deadline - self.now()), function() expire(self) end)
end

--- Calls done(err) once: after `left` calls of the function returned, with the first error they had, or nil; or with
--- err.code "timeout" when they don't come in time.
function M:open(left, done)
  local ticket = { done = done, deadline = self.now() + self.seconds, before = self.last }
  if self.last then self.last.behind = ticket else self.first = ticket end
  self.last = ticket
  watch(self)
  local failure
  return function(err)
    left, failure = left - 1, failure or err
    if left > 0 or not ticket.done then return end
    leave(self, ticket)
    ticket.done = nil
    done(failure)
  end
end

return M
