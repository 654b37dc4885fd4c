-- What `agent top` remembers from one answer to the next: for rates, and for the longest run of each item.

local text = require("agent.console.text")

local M = {}
M.__index = M

local SPAN = 30 -- seconds that a rate is measured over: collectors run each ten

function M.new()
  return setmetatable({ samples = {}, longest = {} }, M)
end

local function sum(outputs, field)
  local total = 0
  for _, one in ipairs(outputs) do total = total + (text.number((one.outbox or {})[field]) or 0) end
  return total
end

--- Takes over a status (of /me/status), answered at `now` (monotonic seconds).
function M:take(status, now)
  local outputs = require("agent.console.health").outputs(status)
  local sample = { at = now, uptime = text.number(status.uptime) or 0, pid = status.pid,
    cpu = text.number(status.cpu_seconds), messages = sum(outputs, "published"),
    bytes = sum(outputs, "published_bytes") }
  local last = self.samples[#self.samples]
  if last and (last.pid ~= sample.pid or sample.uptime < last.uptime) then self.samples, self.longest = {}, {} end
  self.samples[#self.samples + 1] = sample
  while self.samples[3] and now - self.samples[2].at >= SPAN do table.remove(self.samples, 1) end
  for id, item in pairs(type(status.schedules) == "table" and status.schedules or {}) do
    local ms = type(item) == "table" and math.max(text.number(item.last_ms) or 0, text.number(item.longest_ms) or 0)
    if ms then self.longest[id] = math.max(self.longest[id] or 0, ms) end
  end
end

--- { messages =, bytes = (a second), cpu = percent | nil, seconds = what it was measured over, whole = true for since
--- the start }.
function M:rates()
  local last, first = self.samples[#self.samples], self.samples[1]
  if not last then return { messages = 0, bytes = 0, seconds = 0 } end
  if last == first then
    first = { at = last.at - math.max(1, last.uptime), messages = 0, bytes = 0, cpu = 0, start = true }
  end
  local seconds = math.max(0.001, last.at - first.at)
  return {
    messages = (last.messages - first.messages) / seconds, bytes = (last.bytes - first.bytes) / seconds,
    cpu = last.cpu and first.cpu and (last.cpu - first.cpu) / seconds * 100, seconds = seconds, whole = first.start,
  }
end

return M
