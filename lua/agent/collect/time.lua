-- Group TIME: how far this machine's clock is from that of the configured NTP servers.

local M = { name = "TIME", interval = 300, rates = false }

-- Seconds: how long a resolved name is kept; how long a server that said no is left in peace.
local NAME_LIFE = 3600
local DENIED = 24 * 3600
local RATE_FIRST = 600

local Time = {}
Time.__index = Time

--- "host", "host:port", "1.2.3.4:123", "::1", "[::1]:123" → host, port; nil when it is none of them.
function M.parse_server(text)
  local host, port = text:match("^%[([%x:%.]+)%]:?(%d*)$")
  if not host and select(2, text:gsub(":", "")) > 1 then host, port = text:match("^([%x:%.]+)$"), "" end
  if not host then host, port = text:match("^([%w%.%-_]+):?(%d*)$") end
  port = port == "" and 123 or tonumber(port)
  if host and port and port >= 1 and port <= 65535 then return host, port end
end

local function is_numeric(host)
  return host:find(":", 1, true) ~= nil or host:match("^%d+%.%d+%.%d+%.%d+$") ~= nil
end

--- The median of a non-empty list of numbers, which it sorts.
function M.median(values)
  table.sort(values)
  local middle = math.floor((#values + 1) / 2)
  return #values % 2 == 1 and values[middle] or (values[middle] + values[middle + 1]) / 2
end

-- callback(err, ip). Names go through a worker: getaddrinfo can hang for longer than anything here may.
function Time:resolve(server, callback)
  local now = self.clock.mono()
  if is_numeric(server.host) then return callback(nil, server.host) end
  if server.ip and now < server.ip_until then return callback(nil, server.ip) end
  self.worker.run("resolve", { host = server.host, port = server.port }, { deadline_ms = 10000 },
    function(err, addresses)
      local first = not err and addresses and addresses[1]
      if not first then
        return callback(err or { code = "resolve", message = "the name has no address" })
      end
      server.ip, server.ip_until = first.ip, now + NAME_LIFE
      callback(nil, first.ip)
    end)
end

-- RFC 5905 §7.4: RATE asks for fewer requests, DENY and RSTR for none; other codes are information.
local function obey(server, kiss, now)
  if kiss == "RATE" then
    server.pause = math.min((server.pause or RATE_FIRST / 2) * 2, DENIED)
    server.not_before = now + server.pause
  elseif kiss == "DENY" or kiss == "RSTR" then
    server.not_before = now + DENIED
  end
end

function Time:note(server, err)
  if err and err.code == "kiss" then obey(server, err.message, self.clock.mono()) end
  if err then server.ip = nil else server.pause = nil end
  local problem = err and err.code
  if problem ~= server.problem and not self.closed then
    if err then
      self.log.warning("collect", "no time from an NTP server",
        { server = server.text, code = err.code, error = err.message })
    else
      self.log.info("collect", "the NTP server answers again", { server = server.text })
    end
    server.problem = problem
  end
end

function Time:ask(server, callback)
  self:resolve(server, function(err, ip)
    if self.closed then err = { code = "cancelled", message = "cancelled" } end
    if err then return callback(err) end
    self.queries[server] = require("agent.collect.ntp").query({
      ip = ip, port = server.port, timeout = self.timeout, spacing = self.spacing, clock = self.clock,
    }, function(...)
      self.queries[server] = nil
      callback(...)
    end)
  end)
end

--- done(metrics, err), later: when every server has answered or failed.
function Time:run(done)
  local due, offsets = {}, {}
  for _, server in ipairs(self.servers) do
    if not server.not_before or self.clock.mono() >= server.not_before then due[#due + 1] = server end
  end
  local waiting = #due
  if waiting == 0 then return done({}) end
  for _, server in ipairs(due) do
    self:ask(server, function(err, sample)
      self:note(server, err)
      offsets[#offsets + 1] = sample and sample.offset
      waiting = waiting - 1
      if waiting > 0 then return end
      if #offsets == 0 then return done({}) end
      done({ { name = "time.offset", value = M.median(offsets) } })
    end)
  end
end

function Time:close()
  self.closed = true
  for _, query in pairs(self.queries) do query:cancel() end
end

local function read_servers(self, list)
  for _, text in ipairs(list) do
    local host, port = M.parse_server(text)
    if host then
      self.servers[#self.servers + 1] = { text = text, host = host, port = port }
    else
      self.log.error("collect", "not an NTP server's address", { server = text })
    end
  end
  if #self.servers == 0 then
    self.log.info("collect", "no NTP server configured (agent.ntpservers): there will be no time.offset")
  end
end

--- env.spacing: seconds between the requests of one measurement, for specs; default 2.
function M.new(env)
  local self = setmetatable({
    clock = env.clock, log = env.log, worker = env.worker, servers = {}, queries = {},
    timeout = env.conf.ntptimeout or 2, spacing = env.spacing or 2,
  }, Time)
  read_servers(self, env.conf.ntpservers or {})
  return { run = function(done) self:run(done) end, close = function() self:close() end }
end

return M
