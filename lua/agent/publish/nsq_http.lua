-- A link to one nsqd over HTTP or HTTPS: connections that are kept alive, each with one request at a time. More
-- of them are opened only while all are busy. See nsq.lua for what a link is.

local http_client = require("host.http_client")

local CONNECTIONS = 4

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

local function count(self)
  local n = 0
  for _ in pairs(self.connections) do n = n + 1 end
  return n
end

local function on_ready(self, one)
  one.ready, self.opening = true, false
  if self.alive then return self.events.room() end
  self.alive = true
  self.events.ready()
end

-- With the last connection the link is over. One that can't be opened beside others is not tried again.
local function on_closed(self, one, err)
  self.connections[one] = nil
  if not one.ready then
    self.opening, self.limit = false, count(self)
  end
  if not next(self.connections) then return self.events.closed(self.failure or err) end
  self.events.room()
end

local function connect(self)
  local one = { ready = false }
  local message, code
  one.http, message, code = http_client.connect({
    ip = self.address.ip, port = self.address.port,
    connect_ms = self.options.connect_ms, reply_ms = self.options.ack_ms,
    tls = self.options.tls, name = self.options.name,
    on_ready = function() on_ready(self, one) end,
    on_closed = function(err) on_closed(self, one, err) end,
  })
  if not one.http then return nil, message, code end
  self.connections[one], self.opening = true, true
  return self
end

--- Begins to connect to { ip, port }. events.ready() once, events.room() when it takes more again without having
--- answered, events.closed(err) once and last. options: connect_ms, ack_ms, server, tls (filter maker | nil), name.
local function open(address, options, events)
  return connect(setmetatable({ address = address, options = options, events = events, connections = {},
    limit = CONNECTIONS, header = header(options.server) }, link))
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

local function idle(self)
  for one in pairs(self.connections) do
    if one.ready and one.http:idle() then return one end
  end
end

--- Whether a connection is idle; if not, one more is opened within the limit.
function link:room()
  if self.failure or not self.alive then return false end
  if idle(self) then return true end
  if not self.opening and count(self) < self.limit then connect(self) end
  return false
end

--- done(err) once; err.permanent when the batch is to blame, err.divisible when perhaps not all of it.
--- nil, message, code: not sent.
function link:publish(topic, messages, done)
  local one = idle(self)
  if not one then return nil, "no idle connection", "EAGAIN" end
  local target, pieces
  local name = topic:gsub("#", "%%23")
  if messages[2] then
    target, pieces = "/mpub?topic=" .. name .. "&binary=true", binary_body(messages)
  else
    target, pieces = "/pub?topic=" .. name, messages[1]
  end
  return one.http:post(target, self.header, pieces, function(err, status, body)
    local why = err or judge(status, body)
    -- A server that can't now is left for the next one.
    if why and not why.permanent and not err then
      self.failure = why
      self:close()
    end
    done(why)
  end)
end

function link:close()
  local all = {}
  for one in pairs(self.connections) do all[#all + 1] = one end
  for _, one in ipairs(all) do one.http:close() end
end

return open
