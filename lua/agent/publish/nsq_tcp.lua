-- A link to one nsqd over its TCP protocol: batches are pipelined. See nsq.lua for what a link is.

local cjson = require("cjson")
local nsq = require("host.nsq")
local uv = require("luv")

local HEARTBEAT_MS = 30000
local WINDOW = 32

-- What is to blame when a batch would be refused by every nsqd and for ever.
local refused = { E_BAD_TOPIC = "topic", E_BAD_MESSAGE = "message", E_BAD_BODY = "message" }

local link = {}
link.__index = link

local function identify()
  local hostname = uv.os_gethostname()
  return cjson.encode({
    client_id = hostname:match("^[^.]+") or hostname,
    hostname = hostname,
    user_agent = "agent/" .. require("host").build.version,
    feature_negotiation = true,
    heartbeat_interval = HEARTBEAT_MS,
  })
end

-- nsqd's answer to IDENTIFY says what it will do next. Returns why this can't work, or nil.
local function objection(reply)
  local ok, will = pcall(cjson.decode, reply)
  if not ok or type(will) ~= "table" then return nil end
  if will.auth_required == true then
    return { code = "E_AUTH_FIRST", message = "nsqd wants AUTH: not spoken here" }
  end
  for _, upgrade in ipairs({ "tls_v1", "snappy", "deflate" }) do
    if will[upgrade] == true then
      return { code = "EPROTO", message = "nsqd insists on " .. upgrade .. ": not spoken here" }
    end
  end
  return nil
end

--- Begins to connect to { ip, port }. events.ready() once, events.closed(err) once and last.
local function open(address, options, events)
  local self = setmetatable({ alive = false }, link)
  local message, code
  self.connection, message, code = nsq.connect({
    ip = address.ip,
    port = address.port,
    identify = identify(),
    connect_ms = options.connect_ms,
    ack_ms = options.ack_ms,
    heartbeat_ms = HEARTBEAT_MS,
    on_ready = function(reply)
      self.failure = objection(reply)
      if self.failure then return self.connection:close() end
      self.alive = true
      events.ready()
    end,
    on_closed = function(err)
      self.alive = false
      events.closed(self.failure or err)
    end,
  })
  if not self.connection then return nil, message, code end
  return self
end

function link:room()
  return self.alive and self.connection:inflight() < WINDOW
end

--- done(err) once; err.permanent when the batch is to blame, err.divisible when perhaps not all of it.
--- nil, message, code: not sent.
function link:publish(topic, messages, done)
  return self.connection:mpub(topic, messages, function(err)
    if err then
      self.alive = false
      local blame = err.guilty and refused[err.code]
      err.permanent, err.divisible = blame ~= nil and blame ~= false, blame == "message"
    end
    done(err)
  end)
end

function link:close()
  self.alive = false
  self.connection:close()
end

return open
