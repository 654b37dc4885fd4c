-- The output `nsq`: one active link to one of the configured nsqd, the next one when it breaks. Holds no
-- messages but those in flight: without room() the outbox keeps them.
--
-- A link (nsq_tcp.lua, nsq_http.lua) is made by open(address, options, events) and has room(),
-- publish(topic, messages, done), close(); it is used once and never reconnects to another address.

local jitter = require("agent.publish.jitter")
local parts = require("agent.publish.parts")
local servers = require("agent.publish.servers")

local MESSAGE_MAX = 1024 * 1024  -- nsqd's defaults, contracts.md §6.1
local BODY_MAX = 5 * 1024 * 1024
local INFLIGHT_MAX = 4 * 1024 * 1024 -- bytes; a part larger than this may go alone
local JOIN_MAX = 256 * 1024 -- nsqd and its readers work by the message

local output = {}
output.__index = output

local function default_after(ms, fn)
  local timer = require("luv").new_timer()
  local function cancel()
    if not timer:is_closing() then timer:close() end
  end
  timer:start(ms, 0, function()
    cancel()
    fn()
  end)
  return cancel
end

local function set_state(self, state)
  self.state, self.since = state, self.clock.wall()
end

local function log(self, level, message, fields)
  if self.log then self.log[level]("nsq", message, fields) end
end

local function remember(self, err)
  self.last_error = { code = err.code, message = err.message, server = self.server.name,
    time = self.clock.wall() }
end

local function transient(err)
  return { code = err.code, message = err.message, permanent = false }
end

local function backoff(self)
  self.failures = self.failures + 1
  return jitter.delay(self.failures - 1, self.random)
end

local function announce_room(self)
  if self.blocked and self:room() then
    self.blocked = false
    if self.on_room then self.on_room() end
  end
end

local function refuse(self, err, messages)
  self.dropped_messages = self.dropped_messages + #messages
  return { code = err.code, message = err.message, permanent = true, refused = messages }
end

-- A part may go when the link takes it and what is in flight stays bounded; any part may go alone.
local function takes(self, bytes)
  return self.link ~= nil and self.link:room()
    and (self.inflight == 0 or self.inflight_bytes + bytes <= INFLIGHT_MAX)
end

local search

local function part_failed(self, part, err)
  remember(self, err)
  if not err.permanent then return part.done(transient(err)) end
  if err.divisible and #part.messages > 1 then return search(self, part, err) end
  part.done(refuse(self, err, part.messages))
end

local function publish(self, part, failed)
  local function answered(err)
    self.inflight = self.inflight - 1
    self.inflight_bytes = self.inflight_bytes - part.bytes
    if err then
      self.blocked = true
      failed(self, part, err)
    else
      self.failures = 0
      self.acknowledged_messages = self.acknowledged_messages + #part.messages
      self.acknowledged_bytes = self.acknowledged_bytes + part.bytes
      part.done(nil)
    end
    self:pump()
  end
  self.inflight = self.inflight + 1
  self.inflight_bytes = self.inflight_bytes + part.bytes
  self.published_messages = self.published_messages + #part.messages
  self.published_bytes = self.published_bytes + part.bytes
  local sent, message, code = self.link:publish(part.topic, part.messages, answered)
  if not sent then answered({ code = code, message = message }) end
end

-- Which message of a refused part is to blame is found by sending less and less of it, one part at a time and
-- nothing else meanwhile: each refusal costs the connection and whatever is in flight behind it.
local function search_step(self)
  local found = self.search
  if not found or found.busy or not self.link or not self.link:room() then return end
  local part = table.remove(found.parts)
  if not part then
    self.search = nil
    return found.done(refuse(self, found.err, found.refused))
  end
  found.busy = true
  part.done = function()
    found.busy = false
  end
  publish(self, part, function(_, _, err)
    found.busy = false
    remember(self, err)
    if not err.permanent then
      self.search = nil
      found.done(transient(err))
    elseif #part.messages == 1 then
      found.err = err
      table.insert(found.refused, part.messages[1])
    else
      local first, second = parts.halve(part)
      table.insert(found.parts, second)
      table.insert(found.parts, first)
    end
  end)
end

function search(self, part, err)
  local first, second = parts.halve(part)
  self.search = { parts = { second, first }, done = part.done, err = err, refused = {}, busy = false }
end

--- Sends what is held as far as the link takes it.
function output:pump()
  search_step(self)
  while not self.search and self.held[1] and takes(self, self.held[1].bytes) do
    publish(self, table.remove(self.held, 1), part_failed)
  end
  announce_room(self)
end

-- What waited for the link fails with it. A search goes on with the next link, unless there is none.
local function fail_held(self, err, search_too)
  local held, found = self.held, search_too and self.search
  self.held = {}
  if found and not found.busy then
    self.search = nil
    found.done(transient(err))
  end
  for _, part in ipairs(held) do part.done(transient(err)) end
end

local attempt

local function try_later(self)
  set_state(self, "waiting")
  self.cancel = self.after(backoff(self), function()
    self.cancel = nil
    attempt(self)
  end)
end

local function no_server(self, err)
  remember(self, err)
  log(self, "warning", "no connection", { server = self.server.name, code = err.code, reason = err.message })
  fail_held(self, err, true)
  try_later(self)
end

local function on_ready(self)
  set_state(self, "connected")
  self.connects = self.connects + 1
  log(self, "info", "connected", { server = self.server.name })
  self.blocked = true
  self:pump()
end

local function on_lost(self, err)
  err = err or { code = "ECONNRESET", message = "the connection was closed" }
  remember(self, err)
  local fields = { server = self.server.name, code = err.code, reason = err.message }
  log(self, "warning", "connection lost", fields)
  fail_held(self, err, false)
  try_later(self)
end

local function finish_close(self)
  set_state(self, "closed")
  local callback = self.closing
  self.closing = nil
  if callback then callback() end
end

-- Of what two addresses of one server answered, what tells more: nobody there may only mean the wrong one.
local nobody = { ECONNREFUSED = true, ENETUNREACH = true, EHOSTUNREACH = true, EADDRNOTAVAIL = true }

local function more_telling(earlier, err)
  return earlier and nobody[err.code] and earlier or err
end

local function try_address(self, addresses, secure, at, earlier)
  local ready = false
  local function closed(err)
    self.link = nil
    if self.closed then return finish_close(self) end
    if ready then return on_lost(self, err) end
    err = more_telling(earlier, err)
    if addresses[at + 1] then return try_address(self, addresses, secure, at + 1, err) end
    no_server(self, err)
  end
  set_state(self, "connecting")
  local options = { connect_ms = self.connect_ms, ack_ms = self.ack_ms, server = self.server, tls = secure.tls,
    name = secure.name, secret = secure.secret, deflate = secure.deflate }
  local link, message, code = self.open[self.server.scheme](addresses[at], options, {
    ready = function()
      ready = true
      on_ready(self)
    end,
    room = function()
      self.blocked = true
      self:pump()
    end,
    closed = closed,
  })
  self.link = link
  if not link then closed({ code = code, message = message }) end
end

local function prepare(self, callback)
  if not self.secure then return callback({}) end
  local server = self.server
  self.secure:prepare(server.scheme == "https" or (server.scheme == "tcp" and self.tls), server.host,
    function(err, secure)
      if self.closed then return end
      if err then return no_server(self, err) end
      callback(secure)
    end)
end

function attempt(self)
  self.server = self.next_server()
  set_state(self, "resolving")
  local answered = false
  local handle = self.resolve(self.server, function(err, addresses)
    answered, self.resolving = true, nil
    if self.closed then return end
    if not err and not (addresses and addresses[1]) then
      err = { code = "ENOENT", message = "no address for " .. self.server.host }
    end
    if err then return no_server(self, err) end
    prepare(self, function(secure) try_address(self, addresses, secure, 1) end)
  end)
  if not answered then self.resolving = handle end
end

--- Takes a batch { topic, messages = { { head, body } … }, bytes }. done(err) once, perhaps before this
--- returns: nil when nsqd has all of it; err.permanent when the messages of the array err.refused can never
--- be published (the others are); else nothing is certain and the batch is to be sent again.
function output:send(batch, done)
  if not require("host.nsq").valid_topic(batch.topic) then
    local err = { code = "E_BAD_TOPIC", message = "not a topic name: " .. batch.topic }
    return done(refuse(self, err, batch.messages))
  end
  if not self:room() then
    return done({ code = "EAGAIN", message = "not connected, or too much in flight", permanent = false })
  end
  local list, left_out = parts.split(batch, MESSAGE_MAX, BODY_MAX)
  self.dropped_messages = self.dropped_messages + #left_out
  parts.gather(list, left_out, done)
  for _, part in ipairs(list) do self.held[#self.held + 1] = part end
  self:pump()
end

--- true: send() may take another batch now; else on_room is called when it may again.
function output:room()
  local room = not self.closed and not self.search and self.held[1] == nil and takes(self, 1)
  if not room then self.blocked = true end
  return room
end

--- Whether nothing can be sent until a connection is there again.
function output:failing()
  return self.failures > 0 and self.state ~= "connected"
end

--- Fails what is in flight (transiently), closes everything, then calls callback().
function output:close(callback)
  if self.closed then
    if callback then callback() end
    return
  end
  self.closed, self.closing = true, callback
  fail_held(self, { code = "ECANCELED", message = "the output was closed" }, true)
  if self.cancel then self.cancel() end
  if self.resolving and self.resolving.kill then self.resolving:kill() end
  if self.link then return self.link:close() end
  finish_close(self)
end

--- A plain table for /me/status; times are unix seconds.
function output:status()
  return {
    server = self.server and self.server.name,
    state = self.state,
    since = self.since,
    reconnects = math.max(0, self.connects - 1),
    inflight = self.inflight,
    inflight_bytes = self.inflight_bytes,
    published_messages = self.published_messages,
    published_bytes = self.published_bytes,
    acknowledged_messages = self.acknowledged_messages,
    acknowledged_bytes = self.acknowledged_bytes,
    dropped_messages = self.dropped_messages,
    last_error = self.last_error,
  }
end

local function opener(name)
  return function(...)
    return require("agent.publish.nsq_" .. name)(...)
  end
end

-- Most need none of it.
local function security(list, conf)
  local wanted = conf.tls or conf.compress or (conf.authsecret or "") ~= ""
  for _, server in ipairs(list) do wanted = wanted or server.scheme == "https" end
  return wanted and require("agent.publish.secure").new(conf) or nil
end

local function initial(list, conf, env)
  return {
    clock = env.clock or require("host.clock"), log = env.log, random = env.random or jitter.random,
    after = env.after or default_after, resolve = env.resolve or servers.resolve,
    next_server = servers.rotation(list, env.random or jitter.random),
    open = { tcp = opener("tcp"), http = opener("http"), https = opener("http") },
    tls = conf.tls, secure = env.secure or security(list, conf),
    connect_ms = env.connect_ms or 5000, ack_ms = env.ack_ms or 5000, join_bytes = JOIN_MAX,
    held = {}, failures = 0, connects = 0, inflight = 0, inflight_bytes = 0, blocked = true,
    published_messages = 0, published_bytes = 0, acknowledged_messages = 0, acknowledged_bytes = 0,
    dropped_messages = 0,
  }
end

local M = {}

--- conf = the `output` table of the configuration, of which `servers`, `tls` and what agent.publish.secure names
--- are read. env.clock, env.log and, for specs, env.random, env.after(ms, fn) → cancel, env.resolve, env.secure,
--- env.connect_ms, env.ack_ms may be given. Returns the output, which begins to connect, or nil, message, "EINVAL".
function M.new(conf, env)
  local list = {}
  for i, text in ipairs(conf.servers) do
    local server, message, code = servers.parse(text)
    if not server then return nil, message, code end
    list[i] = server
  end
  if not list[1] then return nil, "output.servers is empty", "EINVAL" end
  local self = setmetatable(initial(list, conf, env or {}), output)
  attempt(self)
  return self
end

return M
