-- Asks the running agent: one request a connection, over its unix socket or on TCP. Nothing here waits without a
-- deadline.

local http_response = require("host.http_response")
local timer = require("agent.timer")
local uv = require("luv")

local M = {}
M.__index = M

local BODY_MAX = 64 * 1024 * 1024
local PATH_MAX = 107 -- of sockaddr_un; libuv would cut it silently

--- Seconds after which an agent that says nothing counts as stuck.
M.PATIENCE = 5

--- address: { path = } or { ip =, port = }. The failure of a callback ends the program: nobody would go on.
function M.new(address)
  return setmetatable({ address = address }, M)
end

-- Runs fn(…); what it raises is shown and ends the program.
local function guarded(fn, ...)
  local ok, why = xpcall(fn, debug.traceback, ...)
  if ok then return end
  if M.on_defect then M.on_defect() end
  io.stderr:write("agent: ", why, "\n")
  require("host").exit(70)
end
M.guarded = guarded

local function error_of(text)
  local code = text:match("^%u%w+") or "EIO"
  return { code = code, message = text:gsub("^%u%w+: ", "") }
end

local function host_of(address)
  if not address.ip then return "localhost" end
  return (address.ip:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address.ip, address.port)
end

local function text_of(self, request)
  return ("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: agent/%s\r\nAccept: %s\r\nConnection: close\r\n%s\r\n"):format(
    request.method or "GET", request.target, host_of(self.address), require("host").build.version,
    request.accept or "application/json", request.method == "POST" and "Content-Length: 0\r\n" or "")
end

local Exchange = {}
Exchange.__index = Exchange

local function finish(self, err, answer)
  if self.over then return end
  self.over = true
  if self.timer then self.timer:cancel() end
  if not self.handle:is_closing() then self.handle:close() end
  if self.done then guarded(self.done, err, answer) end
end

local function wait_until(self, seconds)
  if self.timer then self.timer:cancel() end
  self.timer = seconds and timer.after(seconds, function()
    finish(self, { code = "ETIMEDOUT", message = ("no answer within %g s"):format(seconds) })
  end)
end

local function complete(self)
  finish(self, nil, { status = self.response:status(), body = table.concat(self.body) })
end

local function take(self, piece)
  if piece == "" then return end
  if self.on_body and self.response:status() == 200 then return guarded(self.on_body, piece) end
  self.size = self.size + #piece
  if self.size > BODY_MAX then return finish(self, { code = "EFBIG", message = "the answer is too large" }) end
  self.body[#self.body + 1] = piece
end

local function head_read(self)
  self.headed = true
  if self.on_body and self.response:status() == 200 then wait_until(self, nil) end
  if self.on_head then guarded(self.on_head, self.response:status()) end
end

local function on_read(self, err, bytes)
  if self.over then return end
  if err then return finish(self, error_of(err)) end
  if not bytes then
    if self.response:finish() then return complete(self) end
    return finish(self, { code = "ECONNRESET", message = "the connection was closed before the answer was complete" })
  end
  local piece, over, code = self.response:feed(bytes)
  if not piece then return finish(self, { code = code, message = over }) end
  if not self.headed and self.response:status() > 0 then head_read(self) end
  take(self, piece)
  if over and not self.over then complete(self) end
end

local function connect(address, callback)
  if address.ip then
    local tcp = uv.new_tcp()
    local ok, why = tcp:connect(address.ip, address.port, callback)
    if not ok then callback(why) end
    return tcp
  end
  local pipe = uv.new_pipe(false)
  if #address.path > PATH_MAX then
    callback("ENAMETOOLONG: the path is longer than a socket's may be")
  else
    local ok, why = pipe:connect(address.path, callback)
    if not ok then callback(why) end
  end
  return pipe
end

--- Sends a request; done(err, { status, body }) once. request: target (path and query, escaped), method ("GET"),
--- accept, deadline (seconds for all of it; default PATIENCE, false: none). With on_body(bytes) a 200 is handed over
--- as it comes and the deadline is for its head; on_head(status) comes before it. Returns { close() }: nothing is
--- called after that.
function M:ask(request, done)
  local exchange = setmetatable({ done = done, on_body = request.on_body, on_head = request.on_head, body = {},
    size = 0, response = http_response.new() }, Exchange)
  local deadline = request.deadline
  if deadline == nil then deadline = M.PATIENCE end
  wait_until(exchange, deadline or nil)
  local text, early = text_of(self, request), nil
  exchange.handle = connect(self.address, function(err)
    if not exchange.handle then
      early = err
      return
    end
    if exchange.over then return end
    if err then return finish(exchange, error_of(err)) end
    exchange.handle:read_start(function(why, bytes) on_read(exchange, why, bytes) end)
    exchange.handle:write(text, function(why)
      if why and not exchange.over then finish(exchange, error_of(why)) end
    end)
  end)
  if early then timer.after(0, function() finish(exchange, error_of(early)) end) end
  return exchange
end

function Exchange:close()
  self.done = nil
  finish(self)
end

--- Asks each PATIENCE seconds whether the agent still answers, until close() of what is returned; failed(err) once
--- when it doesn't.
function M:watch(failed)
  local watch = { on = true }
  local function look()
    if not watch.on then return end
    self:ask({ target = "/me/ns" }, function(err)
      if not watch.on then return end
      if err then
        watch:close()
        return failed(err)
      end
      watch.timer = timer.after(M.PATIENCE, look)
    end)
  end
  function watch.close()
    watch.on = false
    if watch.timer then watch.timer:cancel() end
  end
  look()
  return watch
end

--- As ask(), for what may take longer than PATIENCE: up to request.deadline, but an agent that doesn't answer
--- anything any more fails it at once.
function M:ask_patiently(request, done)
  local watch, exchange
  local function over(err, answer)
    watch:close()
    exchange:close()
    done(err, answer)
  end
  exchange = self:ask(request, over)
  watch = self:watch(over)
end

return M
