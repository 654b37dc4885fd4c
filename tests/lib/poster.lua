-- A producer for tests: posts numbered points to an agent over keep-alive connections, and remembers what it was told.

local uv = require("luv")

local M = {}
M.__index = M

local function request(ns, number)
  local body = ('[{"name":"n","value":%d}]'):format(number)
  return ("POST /post?ns=%s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s"):format(ns, #body, body)
end

local connect

local function again(self, slot, ms)
  if self.stopped then
    self.open = self.open - 1
    return
  end
  local timer = uv.new_timer()
  slot.waits = true
  timer:start(ms, 0, function()
    timer:close()
    slot.waits = false
    if slot.pipe then slot.send() else connect(self, slot) end
  end)
end

local function lost(self, slot)
  if not slot.pipe then return end
  slot.pipe:close()
  slot.pipe = nil
  if not slot.waits then again(self, slot, 20) end
end

local function answered(self, slot, status)
  self.answers[status] = (self.answers[status] or 0) + 1
  if status == 200 then table.insert(self.accepted, slot.number) end
  again(self, slot, self.pause)
end

function connect(self, slot)
  if self.stopped then
    self.open = self.open - 1
    return
  end
  local pipe = uv.new_pipe(false)
  slot.pipe = pipe
  function slot.send()
    if self.stopped then
      self.open = self.open - 1
      return pipe:close()
    end
    self.number, slot.number, slot.input = self.number + 1, self.number + 1, ""
    pipe:write(request(self.ns, slot.number))
  end
  pipe:connect(self.path, function(err)
    if err then return lost(self, slot) end
    pipe:read_start(function(_, chunk)
      if not chunk then return lost(self, slot) end
      slot.input = slot.input .. chunk
      local status, length, at = slot.input:match("^HTTP/1.1 (%d+) .-Content%-Length: (%d+).-\r\n\r\n()")
      if not status or #slot.input < at - 1 + tonumber(length) then return end
      slot.input = ""
      answered(self, slot, tonumber(status))
    end)
    slot.send()
  end)
end

--- Begins to post to the unix socket at `path`: `connections` at once, each `pause` ms after its last answer.
--- accepted: the numbers answered with 200, in that order; answers: status → how often.
function M.start(path, connections, pause, ns)
  local self = setmetatable({ path = path, ns = ns or "a.loda", pause = pause or 0, number = 0, accepted = {},
    answers = {}, open = connections }, M)
  for _ = 1, connections do connect(self, {}) end
  return self
end

--- Ends it; what is under way gets its answer first.
function M:stop()
  self.stopped = true
  require("program").wait("the last answers", 20, function() return self.open == 0 end)
end

--- The numbers in messages, in the order of the messages.
function M.numbers(messages)
  local list = {}
  for _, message in ipairs(messages) do
    for number in message:gmatch('"measurement":"RUN.n".-"value":(%d+)') do list[#list + 1] = tonumber(number) end
  end
  return list
end

--- A function of messages that is true once every accepted number is among them.
function M:all_in()
  local seen, at, missing = {}, 1, nil
  return function(messages)
    while messages[at] do
      for _, number in ipairs(M.numbers({ messages[at] })) do seen[number] = true end
      at = at + 1
    end
    if missing and not seen[missing] then return false end
    for _, number in ipairs(self.accepted) do
      if not seen[number] then
        missing = number
        return false
      end
    end
    return true
  end
end

return M
