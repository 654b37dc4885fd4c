-- The control API (contracts.md §4): one router behind a TCP address and a unix socket.

local host_http = require("host.http")
local uv = require("luv")

local M = {}

-- The Go agent never looked at the method, and scripts rely on it.
local METHODS = "GET HEAD POST"

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

local function make_router(deps)
  local router = require("agent.http.router").new()
  for _, group in ipairs({ "me", "post", "update" }) do
    require("agent.http." .. group).register(router, METHODS, deps)
  end
  return router
end

local function listen_tcp(self, address, on_request)
  local ip, port = M.parse_address(address)
  if not ip then return nil, port end
  local listener, why = host_http.listen({ ip = ip, port = port, on_request = on_request })
  if not listener then return nil, "agent.listen: " .. why end
  self.tcp, self.ip = listener, ip
  return true
end

local function listen_unix(self, path, on_request)
  local listener, why = host_http.listen({ path = path, on_request = on_request })
  if not listener then return nil, "agent.socket: " .. why end
  self.unix, self.path = listener, path
  return true
end

--- Listens on conf.agent.listen and conf.agent.socket ("" = not there). deps: what the rooms hand in:
---   status() → table, namespaces() → array, traffic() → metrics or nil, update(callback),
---   encode(metrics) → bodies, publish(ns, bodies, done), log, and, for specs, later(fn)
--- Returns the server, or nil and a sentence naming what can't be bound.
function M.start(conf, deps)
  local self = setmetatable({}, Server)
  local all = { later = later }
  for name, value in pairs(deps) do all[name] = value end
  local router = make_router(all)
  local function on_request(request, reply) return router:handle(request, reply) end
  local ok, why = true, nil
  if conf.agent.listen ~= "" then ok, why = listen_tcp(self, conf.agent.listen, on_request) end
  if ok and conf.agent.socket ~= "" then ok, why = listen_unix(self, conf.agent.socket, on_request) end
  if not ok then
    self:close()
    return nil, why
  end
  deps.log.info("http", "listening", { tcp = self:address(), unix = self.path })
  return self
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
  if self.tcp then self.tcp:close() end
  if self.unix then self.unix:close() end
end

return M
