-- Group CPU: agent.alive, cpu.idle, cpu.idle.core, cpu.loadavg.*, ps.*.

local rate = require("agent.collect.rate")

-- The share of idle ticks since the base; nil where the counters give none: first sight, or backwards.
local function idle_percent(base, now)
  if not base then return nil end
  local total, idle = now.total - base.total, now.idle - base.idle
  if total < 0 or idle < 0 then return nil end
  -- No tick at all is a core that nothing ran on: idle, and its series goes on. Nor does a tick of iowait
  -- that the kernel takes back make a core more than idle.
  if idle >= total then return 100 end
  return rate.truncated(100 * idle, total)
end

local function remember(base, now, run)
  base = base or {}
  base.total, base.idle, base.run = now.total, now.idle, run
  return base
end

local function forget_absent(bases, run)
  for key, base in pairs(bases) do
    if base.run ~= run then bases[key] = nil end
  end
end

local Collector = {}
Collector.__index = Collector

function Collector:core_tags(id)
  local tags = self.tags[id]
  if not tags then
    tags = { core = ("%d"):format(id) }
    self.tags[id] = tags
  end
  return tags
end

function Collector:idle(metrics)
  local cpu, message, code = self.procfs:cpu()
  if not cpu then
    self.problems = rate.problem(self.problems, message, code)
    return
  end
  local now = self.mono()
  if self.at and now - self.at < rate.shortest then return end
  self.at = now
  self.run_count = self.run_count + 1
  local value = idle_percent(self.all, cpu)
  self.all = remember(self.all, cpu)
  if value then metrics[#metrics + 1] = { name = "cpu.idle", value = value } end
  for _, core in ipairs(cpu.cores) do
    local base = self.cores[core.id]
    local twice = base and base.run == self.run_count
    value = not twice and idle_percent(base, core)
    self.cores[core.id] = remember(base, core, self.run_count)
    if value then
      metrics[#metrics + 1] = { name = "cpu.idle.core", value = value, tags = self:core_tags(core.id) }
    end
  end
  forget_absent(self.cores, self.run_count)
end

function Collector:load(metrics)
  local one, five, fifteen = self.procfs:loadavg()
  if not one then
    self.problems = rate.problem(self.problems, five, fifteen)
    return
  end
  metrics[#metrics + 1] = { name = "cpu.loadavg.1", value = one }
  metrics[#metrics + 1] = { name = "cpu.loadavg.5", value = five }
  metrics[#metrics + 1] = { name = "cpu.loadavg.15", value = fifteen }
end

function Collector:processes(metrics)
  local counts, message, code = self.procfs:processes()
  if not counts then
    self.problems = rate.problem(self.problems, message, code)
    return
  end
  metrics[#metrics + 1] = { name = "ps.zombies.num", value = counts.zombies }
  metrics[#metrics + 1] = { name = "ps.running.num", value = counts.running }
  metrics[#metrics + 1] = { name = "ps.total.num", value = counts.total }
end

local M = { name = "CPU", interval = 10, rates = true }

function M.new(env)
  local self = setmetatable({
    procfs = env.procfs,
    mono = env.clock.mono,
    cores = {}, -- N of cpuN → { total, idle, run }
    tags = {},
    run_count = 0,
  }, Collector)
  local collector = {}
  --- Collects at once; done(metrics, err) is called before it returns. err tells what could not be read.
  function collector.run(done)
    self.problems = nil
    local metrics = { { name = "agent.alive", value = 1 } }
    self:idle(metrics)
    self:load(metrics)
    self:processes(metrics)
    done(metrics, self.problems)
  end
  return collector
end

return M
