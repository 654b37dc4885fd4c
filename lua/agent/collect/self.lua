-- Group AGENT: what the agent itself does and costs. Counters count since start.

local uv = require("luv")

-- CPU seconds of this process, and of its children that were waited for (getrusage(2)).
local function cpu_seconds()
  local use = uv.getrusage()
  return use.utime.sec + use.utime.usec / 1e6 + use.stime.sec + use.stime.usec / 1e6
end

local function add(metrics, name, value, tags)
  metrics[#metrics + 1] = { name = name, value = value, tags = tags }
end

local function add_groups(metrics, usage)
  usage(function(id, item)
    add(metrics, "agent.collect.ms", item.longest_s * 1000, { item = id })
    add(metrics, "agent.collect.missed", item.missed, { item = id })
    add(metrics, "agent.collect.errors", item.errors, { item = id })
  end)
end

local function add_outbox(metrics, outbox, points_dropped)
  add(metrics, "agent.outbox.bytes", outbox.bytes)
  add(metrics, "agent.outbox.messages", outbox.messages)
  add(metrics, "agent.published.messages", outbox.published)
  add(metrics, "agent.published.bytes", outbox.published_bytes)
  for reason, count in pairs(outbox.dropped) do
    add(metrics, "agent.dropped", count, { what = "message", reason = reason })
  end
  for reason, count in pairs(points_dropped) do
    add(metrics, "agent.dropped", count, { what = "point", reason = reason })
  end
end

--- env.agent hands in what there is to tell: errors(), stall_ms() (longest since asked last),
--- usage(visit) of the scheduler, outbox() (its status), points_dropped().
local function new(env)
  local agent, now = env.agent, env.clock.mono
  local started = now()
  local cpu, at
  local function run(done)
    local metrics = {}
    local cpu_now, at_now = cpu_seconds(), now()
    if at and at_now > at then
      add(metrics, "agent.cpu.percent", math.max(0, cpu_now - cpu) * 100 / (at_now - at))
    end
    cpu, at = cpu_now, at_now
    add(metrics, "agent.uptime", math.floor(at_now - started))
    add(metrics, "agent.errors", agent.errors())
    add(metrics, "agent.loop.stall_ms", agent.stall_ms())
    add(metrics, "agent.mem.rss", uv.resident_set_memory())
    add(metrics, "agent.mem.lua", math.floor(collectgarbage("count") * 1024))
    add_groups(metrics, agent.usage)
    add_outbox(metrics, agent.outbox(), agent.points_dropped())
    done(metrics)
  end
  return { run = run }
end

return { name = "AGENT", interval = 60, rates = true, new = new }
