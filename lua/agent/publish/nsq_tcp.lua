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

local function identify(options)
  local hostname = uv.os_gethostname()
  return cjson.encode({
    client_id = hostname:match("^[^.]+") or hostname,
    hostname = hostname,
    user_agent = "agent/" .. require("host").build.version,
    feature_negotiation = true,
    heartbeat_interval = HEARTBEAT_MS,
    tls_v1 = options.tls ~= nil,
    deflate = options.deflate ~= nil,
  })
end

-- Why it can't work when nsqd will do that, or nil.
local function objection(will, options)
  if options.tls and will.tls_v1 ~= true then
    return { code = "ETLS", message = "nsqd does not speak TLS, output.tls demands it" }
  elseif will.tls_v1 == true and not options.tls then
    return { code = "EPROTO", message = "nsqd insists on tls_v1: output.tls is not set" }
  elseif will.snappy == true or (will.deflate == true and not options.deflate) then
    return { code = "EPROTO", message = "nsqd insists on a compression that nobody asked for" }
  elseif will.auth_required == true and not options.secret then
    return { code = "E_AUTH_FIRST", message = "nsqd wants AUTH: output.authsecret is not set" }
  end
end

-- nsqd's answer to IDENTIFY says what it will do next: the plan, or nil when nothing is to be done; false, why.
local function negotiate(reply, options)
  local ok, will = pcall(cjson.decode, reply)
  if not ok or type(will) ~= "table" then will = {} end
  local why = objection(will, options)
  if why then return false, why end
  return {
    tls = will.tls_v1 == true and options.tls or nil, name = options.name,
    deflate = will.deflate == true and options.deflate or nil,
    secret = will.auth_required == true and options.secret or nil,
  }
end

--- Begins to connect to { ip, port }. events.ready() once, events.closed(err) once and last. options: connect_ms,
--- ack_ms, tls and deflate (filter makers | nil), name (nsqd's, in its certificate), secret (of AUTH | nil).
local function open(address, options, events)
  local self = setmetatable({ alive = false }, link)
  local message, code
  self.connection, message, code = nsq.connect({
    ip = address.ip,
    port = address.port,
    identify = identify(options),
    connect_ms = options.connect_ms,
    ack_ms = options.ack_ms,
    heartbeat_ms = HEARTBEAT_MS,
    negotiate = function(reply)
      local plan, why = negotiate(reply, options)
      self.failure = why
      return plan
    end,
    on_ready = function()
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
