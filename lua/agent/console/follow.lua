-- Follows /tail through restarts of the agent.

local timer = require("agent.timer")

local M = {}
M.__index = M

local SHORTEST, LONGEST = 0.5, 5 -- seconds between tries to connect
local LINE_MAX = 1024 * 1024

--- options: client, target, on_line (text), on_event ("connected" | "lost", err) for whoever waits, on_refused
--- (answer): the agent answers, but not with a stream; unreachable (err): it wasn't there in the first place; after,
--- for specs. The first connection is made by start().
function M.new(options)
  return setmetatable({ options = options, client = options.client, after = options.after or timer.after, rest = "",
    delay = SHORTEST }, M)
end

-- Hands on whole lines; the beginning of the next one waits.
local function take(self, bytes)
  local text = self.rest .. bytes
  local from = 1
  while true do
    local to = text:find("\n", from, true)
    if not to then break end
    if to > from then self.options.on_line(text:sub(from, to - 1)) end
    from = to + 1
  end
  self.rest = #text - from < LINE_MAX and text:sub(from) or ""
end

local function try_later(self)
  self.after(self.delay, function() self:start() end)
  self.delay = math.min(self.delay * 2, LONGEST)
end

local function lost(self, err)
  local was_there = self.following
  self.following, self.rest = false, ""
  if self.watch then self.watch:close() end
  if not self.ever then return self.options.unreachable(err) end
  if was_there then self.options.on_event("lost", err) end
  try_later(self)
end

local function begun(self)
  self.following, self.delay = true, SHORTEST
  if self.ever then self.options.on_event("connected") end
  self.ever = true
  -- A stopped agent says nothing, and neither does one with nothing to say.
  self.watch = self.client:watch(function(err)
    self.exchange:close()
    lost(self, err)
  end)
end

function M:start()
  self.exchange = self.client:ask({
    target = self.options.target, accept = "application/x-ndjson, application/json;q=0.5",
    on_head = function(status)
      if status == 200 then begun(self) end
    end,
    on_body = function(bytes) take(self, bytes) end,
  }, function(err, answer)
    if not err and answer.status ~= 200 then
      if answer.status == 503 and self.ever then return lost(self, { code = "EAGAIN", message = "it is busy" }) end
      return self.options.on_refused(answer)
    end
    lost(self, err or { code = "EOF", message = "the agent ended" })
  end)
end

return M
