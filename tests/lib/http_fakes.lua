-- Requests and replies for handlers, without a server.
local M = {}

--- A reply that records: status, headers, body, and how often it was sent.
function M.reply()
  local reply = { sent = 0 }
  function reply:send(status, headers, body)
    self.sent = self.sent + 1
    self.status, self.headers, self.body = status, headers, body
    return true
  end
  function reply:keep(ms) self.kept = ms end
  function reply:stream(status, headers, on_gone)
    self.sent = self.sent + 1
    self.status, self.headers, self.body, self.on_gone, self.open = status, headers, "", on_gone, true
    return true
  end
  function reply:write(bytes)
    if self.open then self.body = self.body .. bytes end
    return self.open
  end
  function reply:finish() self.open = false end
  function reply:leave()
    self.open = false
    self.on_gone()
  end
  return reply
end

--- Sends a request through the router; returns the reply.
function M.ask(router, method, path, options)
  options = options or {}
  local reply = M.reply()
  router:handle({
    method = method, path = path, query = options.query or {}, headers = options.headers or {},
    body = options.body or "", version = "1.1", peer = "unix",
  }, reply)
  return reply
end

return M
