-- Group NET: net.* for the interfaces that agent.ifaceprefix selects, and the sockets.

local rate = require("agent.collect.rate")

-- Reading a link's speed makes the kernel ask the driver under a lock; it hardly ever changes.
local SPEED_AGE = 60

local counters = { "in_bytes", "in_dropped", "out_bytes", "out_dropped" }

local function went_backwards(base, now)
  for _, counter in ipairs(counters) do
    if now[counter] < base[counter] then return true end
  end
  return false
end

local function remember(base, now, run)
  base = base or { tags = { interface = now.name } }
  for _, counter in ipairs(counters) do
    base[counter] = now[counter]
  end
  base.run = run
  return base
end

-- An empty list selects all.
local function is_selected(name, prefixes)
  if not prefixes or #prefixes == 0 then return true end
  for _, prefix in ipairs(prefixes) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

local Collector = {}
Collector.__index = Collector

function Collector:speed(base, name, now)
  if not base.speed_at or now - base.speed_at >= SPEED_AGE then
    base.speed, base.speed_at = self.procfs:link_speed(name), now
  end
  return base.speed
end

-- net.in or net.out and its percentage; nothing where the rate is more than the link can carry.
function Collector:append_traffic(metrics, base, interface, direction, now)
  local seconds = self.seconds
  local bits = (interface[direction .. "_bytes"] - base[direction .. "_bytes"]) * 8
  local speed = self:speed(base, interface.name, now)
  if speed > 0 and bits > speed * 1e6 * seconds then
    base.speed_at = nil -- the link may have become faster
    speed = self:speed(base, interface.name, now)
    if speed > 0 and bits > speed * 1e6 * seconds then return end
  end
  local name, n = "net." .. direction, #metrics
  metrics[n + 1] = { name = name, value = rate.truncated(bits, seconds), tags = base.tags }
  if speed > 0 then
    local value = rate.truncated(bits * 100, seconds * speed * 1e6)
    metrics[n + 2] = { name = name .. ".percent", value = value, tags = base.tags }
  end
end

function Collector:append_interface(metrics, base, interface, now)
  if not went_backwards(base, interface) then
    local seconds, tags = self.seconds, base.tags
    self:append_traffic(metrics, base, interface, "in", now)
    self:append_traffic(metrics, base, interface, "out", now)
    -- Not truncated: one packet lost in a long interval must not read as none.
    local in_dropped = (interface.in_dropped - base.in_dropped) / seconds
    local out_dropped = (interface.out_dropped - base.out_dropped) / seconds
    metrics[#metrics + 1] = { name = "net.in.dropped", value = in_dropped, tags = tags }
    metrics[#metrics + 1] = { name = "net.out.dropped", value = out_dropped, tags = tags }
  end
  local speed = self:speed(base, interface.name, now)
  metrics[#metrics + 1] = { name = "net.speed", value = speed, tags = base.tags }
end

-- Nothing in the first run; an interface that is new gives nothing until the next.
function Collector:interfaces()
  local interfaces, message, code = self.procfs:netdev()
  if not interfaces then
    self.problems = rate.problem(self.problems, message, code)
    return {}
  end
  local now, metrics, bases = self.mono(), {}, self.bases
  self.seconds = self.at and now - self.at
  if self.seconds and self.seconds < rate.shortest then return metrics end
  self.at, self.run_count = now, self.run_count + 1
  for _, interface in ipairs(interfaces) do
    if is_selected(interface.name, self.prefixes) then
      local base = bases[interface.name]
      local twice = base and base.run == self.run_count -- no kernel does that
      if base and not twice then self:append_interface(metrics, base, interface, now) end
      bases[interface.name] = remember(base, interface, self.run_count)
    end
  end
  for name, base in pairs(bases) do
    if base.run ~= self.run_count then bases[name] = nil end
  end
  if self.run_count > 1 then self.last = metrics end
  return metrics
end

function Collector:sockets(metrics)
  local sockets, message, code = self.procfs:sockstat()
  if not sockets then
    self.problems = rate.problem(self.problems, message, code)
    return
  end
  metrics[#metrics + 1] = { name = "net.sockets.used", value = sockets.used }
  if sockets.tcp_inuse then
    metrics[#metrics + 1] = { name = "net.tcp.inuse", value = sockets.tcp_inuse }
    metrics[#metrics + 1] = { name = "net.tcp.timewait", value = sockets.tcp_timewait }
  end
end

local M = { name = "NET", interval = 10, rates = true }

function M.new(env)
  local self = setmetatable({
    procfs = env.procfs,
    mono = env.clock.mono,
    prefixes = env.conf.ifaceprefix,
    bases = {}, -- interface → its counters at the last run, tags, speed, the run it was last seen in
    run_count = 0,
  }, Collector)
  local collector = {}

  --- Collects at once; done(metrics, err) is called before it returns. err tells what could not be read.
  function collector.run(done)
    self.problems = nil
    local metrics = {}
    for i, metric in ipairs(self:interfaces()) do
      metrics[i] = metric
    end
    self:sockets(metrics)
    done(metrics, self.problems)
  end

  --- The interface metrics of the last run that had any rates (an array, not to be changed); nil before the
  --- second run.
  function collector.last()
    return self.last
  end

  return collector
end

return M
