-- The control API (contracts.md §4): one router behind a TCP address and a unix socket.

local host_http = require("host.http")
local timer = require("agent.timer")
local uv = require("luv")

local M = {}

-- The Go agent never looked at the method, and scripts rely on it.
local METHODS = "GET HEAD POST"

-- A called plugin may take ten minutes (plugins.lua); every other handler has a shorter deadline of its own.
local ANSWER_MS = 630000

-- Loaded when somebody asks for them.
local RARE = { ["/healthz"] = "health", ["/me/config"] = "about", ["/me/items"] = "about", ["/metrics"] = "metrics",
  ["/tail"] = "tail", ["/log/offset"] = "log" }

local Server = {}
Server.__index = Server

--- "127.0.0.1:1232", "[::1]:1232", ":1232" (all addresses), "localhost:1232" → ip, port; or nil and why not.
function M.parse_address(text)
  local ip, port = text:match("^%[([%x:.]+)%]:(%d+)$")
  if not ip then ip, port = text:match("^([^:]*):(%d+)$") end
  port = tonumber(port)
  if not port or port > 65535 then return nil, "agent.listen: " .. text .. " is not IP:PORT" end
  if ip == "" then ip = "0.0.0.0" elseif ip == "localhost" then ip = "127.0.0.1" end
  return ip, port
end

-- An idle handle, not a timer: libuv runs timers without delay in the turn in which they were started.
local function later(fn)
  local idle = uv.new_idle()
  idle:start(function()
    idle:close()
    fn()
  end)
end

-- Needed with the first change.
local function audit_of(self)
  self.audit = self.audit or require("agent.http.audit").new({ log = self.log, after = timer.after })
  return self.audit
end

local function make_router(self, deps)
  local router = require("agent.http.router").new({
    access = self.access, audit = { note = function(_, ...) audit_of(self):note(...) end },
    changing = function() self:forget() end,
  })
  for _, routes in ipairs({ "me", "post", "update" }) do
    require("agent.http." .. routes).register(router, METHODS, deps)
  end
  if deps.plugins then require("agent.http.plugins").register(router, METHODS, deps) end
  for path, routes in pairs(RARE) do
    router:lazy(path, function() require("agent.http." .. routes).register(router, deps) end)
  end
  return router
end

local function listen_tcp(self, address, on_request)
  local ip, port = M.parse_address(address)
  if not ip then return nil, port end
  local listener, why = host_http.listen({ ip = ip, port = port, on_request = on_request,
    answer_ms = ANSWER_MS, connections = self.conf.connections })
  if not listener then return nil, "agent.listen: " .. why end
  self.tcp, self.ip = listener, ip
  if self.maker then listener:tls(self.maker) end
  return true
end

local function listen_unix(self, path, on_request)
  local listener, why = host_http.listen({ path = path, on_request = on_request,
    answer_ms = ANSWER_MS, connections = self.conf.connections })
  if not listener then return nil, "agent.socket: " .. why end
  self.unix, self.path = listener, path
  return true
end

local function open(self, conf, on_request)
  local ok, why = true, nil
  if conf.agent.listen ~= "" then ok, why = listen_tcp(self, conf.agent.listen, on_request) end
  if ok and conf.agent.socket ~= "" then ok, why = listen_unix(self, conf.agent.socket, on_request) end
  if not ok then self:close() end
  return ok, why
end

-- A list of groups and tokens that can't be read keeps nobody from reading, but who wants to be reached from
-- elsewhere shall know at once that nobody can change anything.
local function must_have_token(conf)
  if conf.http.loopback == "token" then return true end
  local ip = conf.agent.listen ~= "" and M.parse_address(conf.agent.listen)
  return ip and not M.is_loopback(ip)
end

--- Whether an IP address is of this host alone.
function M.is_loopback(ip)
  return ip:find("^127%.") ~= nil or ip == "::1"
end

-- What the routes are handed: what the rooms gave, and what is this room's own.
local function complete(self, conf, deps)
  local clock = require("host.clock")
  local all = { later = later, conf = conf.http, now = clock.mono, wall = clock.wall, started = clock.mono(),
    counters = function() return self:counters() end }
  for name, value in pairs(deps) do all[name] = value end
  all.feed = require("agent.http.feed").new({ now = all.now, later = all.later })
  if deps.watch then
    deps.watch(function(...)
      self:forget()
      all.feed:offer(...)
    end)
  end
  return all
end

local function begin(self, conf, deps, callback)
  local router = make_router(self, deps)
  local ok, why = open(self, conf, function(request, reply) return router:handle(request, reply) end)
  if not ok then return callback(why) end
  deps.log.info("http", "listening", { tcp = self:address(), unix = self.path, tls = self.maker ~= nil })
  callback(nil, self)
end

--- Listens on conf.agent.listen and conf.agent.socket ("" = not there), by the rules of conf.http, which may
--- change in place. deps: what the rooms hand in:
---   status() → table, namespaces() → array, traffic() → metrics or nil, update(callback), plugins or nil,
---   encode(metrics) → bodies, reader(JSON) → with :encode(bodies, count), dropped(reason, count),
---   publish(ns, bodies, done), watch(fn): fn(namespaces, bodies, source) is called with
---   all that is published, schedules(visit) as of the scheduler, configuration() → conf, hostname(), build, run as of
---   agent.worker.client, log, and, for specs, later(fn)
--- callback(err, server) once, maybe before start() returns: err is a sentence that names the key.
function M.start(conf, deps, callback)
  local self = setmetatable({ conf = conf.http, log = deps.log }, Server)
  local all = complete(self, conf, deps)
  self.access = require("agent.http.access").new(conf.http, { now = require("host.clock").mono })
  self.access:load(function(bad)
    if must_have_token(conf) and conf.http.tokenfile == "" then
      bad = "http.tokenfile: must be set where changing needs a token: agent.listen is not on loopback,"
        .. ' or http.loopback = "token"'
    end
    if bad and (must_have_token(conf) or bad:find("^http.group")) then return callback(bad) end
    require("agent.http.secure").load(conf.http, function(why, maker)
      if why then return callback(why) end
      self.maker = maker
      begin(self, conf, all, callback)
    end)
  end)
end

--- Forgets answers that were to be given again: something has changed.
function Server:forget()
  if self.tcp then self.tcp:forget() end
  if self.unix then self.unix:forget() end
end

--- Reads the token file, the group and the certificate anew; what can't be read is logged, and the old stays.
function Server:reload()
  require("agent.http.secure").load(self.conf, function(bad, maker)
    bad = bad or (self.maker == nil) ~= (maker == nil) and "http.tlscert: turning TLS on or off needs a restart"
    if bad then return self.log.error("http", "not taken over", { reason = bad }) end
    if maker and self.tcp then
      self.maker = maker
      self.tcp:tls(maker)
    end
  end)
  self.access:load(function(bad)
    if bad then self.log.error("http", "not taken over", { reason = bad }) end
  end)
end

--- "IP:PORT" as bound, nil without TCP.
function Server:address()
  if not self.tcp then return nil end
  return (self.ip:find(":") and "[%s]:%d" or "%s:%d"):format(self.ip, self.tcp:port())
end

--- Counters of both listeners by name, see host.http.counters.
function Server:counters()
  return { tcp = self.tcp and self.tcp:counters(), unix = self.unix and self.unix:counters() }
end

--- Drops every connection and removes the socket; at once, and any number of times.
function Server:close()
  if self.audit then self.audit:close() end
  if self.tcp then self.tcp:close() end
  if self.unix then self.unix:close() end
end

return M
