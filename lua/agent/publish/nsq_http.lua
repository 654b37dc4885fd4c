-- A link to one nsqd over HTTP: one request at a time on a connection that is kept alive. See nsq.lua for
-- what a link is.

local http_client = require("host.http_client")

local link = {}
link.__index = link

-- 4xx that speak of the server or the moment, not of the batch: another server or time may take it.
local about_server = { [401] = true, [403] = true, [404] = true, [405] = true, [407] = true, [408] = true,
  [421] = true, [425] = true, [426] = true, [429] = true }

local function header(server)
  local host = server.host:find(":", 1, true) and "[" .. server.host .. "]" or server.host
  -- Without this Accept nsqd <= 0.3.8 answers 500 to everything it refuses.
  return ("Host: %s:%d\r\nUser-Agent: agent/%s\r\nAccept: application/vnd.nsq; version=1.0\r\n"
    .. "Content-Type: application/octet-stream\r\n"):format(host, server.port, require("host").build.version)
end

--- Begins to connect to { ip, port }. events.ready() once, events.closed(err) once and last.
local function open(address, options, events)
  local self = setmetatable({ header = header(options.server) }, link)
  local message, code
  self.connection, message, code = http_client.connect({
    ip = address.ip,
    port = address.port,
    connect_ms = options.connect_ms,
    reply_ms = options.ack_ms,
    on_ready = events.ready,
    on_closed = function(err)
      events.closed(self.failure or err)
    end,
  })
  if not self.connection then return nil, message, code end
  return self
end

local function u32(n)
  return string.char(math.floor(n / 16777216), math.floor(n / 65536) % 256, math.floor(n / 256) % 256,
    n % 256)
end

-- u32 count, then u32 length and bytes of each message: contracts.md §6.2.
local function binary_body(messages)
  local pieces = { u32(#messages) }
  for _, message in ipairs(messages) do
    local n = #pieces
    pieces[n + 1], pieces[n + 2], pieces[n + 3] = u32(#message[1] + #message[2]), message[1], message[2]
  end
  return pieces
end

local function judge(status, body)
  if status >= 200 and status < 300 then return nil end
  local word = body:match('"message"%s*:%s*"([%w_]+)"') or body:match('"status_txt"%s*:%s*"([%w_]+)"')
  local permanent = status >= 400 and status < 500 and not about_server[status]
  return {
    code = word or ("HTTP_" .. status),
    message = ("HTTP status %d%s"):format(status, word and " " .. word or ""),
    permanent = permanent,
    divisible = permanent and word ~= "INVALID_TOPIC" and word ~= "MISSING_ARG_TOPIC",
  }
end

function link:room()
  return not self.failure and self.connection:idle()
end

--- done(err) once; err.permanent when the batch is to blame, err.divisible when perhaps not all of it.
--- nil, message, code: not sent.
function link:publish(topic, messages, done)
  local target, pieces
  local name = topic:gsub("#", "%%23")
  if messages[2] then
    target, pieces = "/mpub?topic=" .. name .. "&binary=true", binary_body(messages)
  else
    target, pieces = "/pub?topic=" .. name, messages[1]
  end
  return self.connection:post(target, self.header, pieces, function(err, status, body)
    local why = err or judge(status, body)
    -- A server that can't now is left for the next one.
    if why and not why.permanent and not err then
      self.failure = why
      self.connection:close()
    end
    done(why)
  end)
end

function link:close()
  self.connection:close()
end

return open
