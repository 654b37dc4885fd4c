-- What is published, for those who look on: /metrics and /tail.

local M = {}
M.__index = M

--- options: now () → monotonic seconds; later (fn).
function M.new(options)
  local self = setmetatable({ options = options, tails = {} }, M)
  self.store = require("agent.http.samples").new(options)
  return self
end

--- Called with all that is published: bodies of messages under namespaces, from the group or check `source`.
function M:offer(namespaces, bodies, source)
  self.store:offer(namespaces, bodies, source)
  for tail in pairs(self.tails) do tail(namespaces, bodies) end
end

--- The last samples.
function M:samples()
  return self.store
end

--- tail(namespaces, bodies) is called with all that is published from now on, until remove(tail).
function M:add(tail)
  self.tails[tail] = true
end

function M:remove(tail)
  self.tails[tail] = nil
end

return M
