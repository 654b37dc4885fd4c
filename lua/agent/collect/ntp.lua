-- Asks one NTP server for the time: a few requests one after the other over UDP, the answer with the
-- shortest round trip wins, for the network had the least chance to falsify it (RFC 5905 §10).

local ntp = require("host.ntp")
local uv = require("luv")

local M = {}

--- Requests of one measurement, and how many in a row may stay without answer.
M.SAMPLES = 4
M.LOST = 2

local Query = {}
Query.__index = Query

function Query:finish(err, sample)
  if self.finished then return end
  self.finished = true
  self.timer:close()
  self.socket:close()
  self.callback(err, sample)
end

function Query:answer()
  if self.best then return self:finish(nil, self.best) end
  self:finish(self.problem)
end

function Query:after(seconds, fn)
  self.timer:start(math.ceil(seconds * 1000), 0, fn)
end

function Query:lose(problem)
  self.cookie, self.problem, self.lost = nil, problem, self.lost + 1
  if self.lost >= M.LOST then return self:answer() end
  self:next()
end

-- Public servers answer a client that asks more often than every two seconds with a kiss of death.
function Query:next()
  if self.asked >= M.SAMPLES then return self:answer() end
  self:after(self.asked == 0 and 0 or self.spacing, function() self:ask() end)
end

function Query:ask()
  self.asked = self.asked + 1
  self.cookie = uv.random(8)
  self.sent, self.began = self.clock.wall(), self.clock.mono()
  self:after(self.timeout, function()
    self:lose({ code = "timeout", message = "no valid answer in time" .. (self.refused or "") })
  end)
  local ok, err = self.socket:try_send(ntp.request(self.cookie), nil, nil)
  if not ok then self:lose({ code = "unreachable", message = err }) end
end

-- What isn't an answer to our request is ignored, and the wait for the true one goes on.
function Query:receive(bytes, from)
  if not self.cookie or (from and (from.ip ~= self.ip or from.port ~= self.port)) then return end
  local sample, message, code =
    ntp.judge(bytes, self.cookie, self.sent, math.max(0, self.clock.mono() - self.began))
  if sample then
    self.cookie, self.lost = nil, 0
    if not self.best or sample.delay < self.best.delay then self.best = sample end
    return self:next()
  elseif code == "kiss" then
    return self:finish({ code = "kiss", message = message })
  elseif code == "unsynchronized" or code == "insane" then
    return self:lose({ code = code, message = message })
  end
  self.refused = "; last refused: " .. message
end

--- Measures the offset to the server at options.ip (numeric), options.port. options.timeout: seconds to
--- wait for each answer; options.spacing: seconds between requests; options.clock: { wall, mono }.
--- callback(err, { offset, delay, stratum }) comes exactly once; err.code "kiss" means that the server
--- wants less or nothing of us, its message is the kiss code. Returns an object with cancel().
function M.query(options, callback)
  local self = setmetatable({
    ip = options.ip, port = options.port, timeout = options.timeout, spacing = options.spacing,
    clock = options.clock, callback = callback, asked = 0, lost = 0,
  }, Query)
  self.timer, self.socket = uv.new_timer(), uv.new_udp()
  -- A connected socket: the kernel drops what comes from another address or port.
  local ok, err = self.socket:connect(self.ip, self.port)
  if not ok then
    self.timer:start(0, 0, function() self:finish({ code = "unreachable", message = err }) end)
    return self
  end
  self.socket:recv_start(function(failure, bytes, from)
    if self.finished then return end
    if failure then return self.cookie and self:lose({ code = "unreachable", message = failure }) end
    if bytes then self:receive(bytes, from) end
  end)
  self:next()
  return self
end

function Query:cancel()
  self:finish({ code = "cancelled", message = "cancelled" })
end

return M
