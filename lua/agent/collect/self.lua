-- Group AGENT: what the agent itself does and costs. Counters count since start.

local uv = require("luv")

-- CPU seconds of this process, its threads included (getrusage(2)).
local function cpu_seconds()
  local use = uv.getrusage()
  return use.utime.sec + use.utime.usec / 1e6 + use.stime.sec + use.stime.usec / 1e6
end

local function add(metrics, name, value, tags)
  metrics[#metrics + 1] = { name = name, value = value, tags = tags }
end

-- Milliseconds to a thousandth: what lies below is noise.
local function ms(seconds)
  return math.floor(seconds * 1e6 + 0.5) / 1e3
end

-- Items that miss ticks or fail are rare: they have their counter from the first time on.
local function add_items(metrics, usage)
  usage(function(id, item)
    local tags = { item = id }
    add(metrics, "agent.collect.ms", ms(item.longest_s), tags)
    if item.missed > 0 then add(metrics, "agent.collect.missed", item.missed, tags) end
    if item.errors > 0 then add(metrics, "agent.collect.errors", item.errors, tags) end
  end)
end

local function add_spool(metrics, spool, tags)
  add(metrics, "agent.spool.bytes", spool.bytes, tags)
  add(metrics, "agent.spool.files", spool.files, tags)
  add(metrics, "agent.spool.age", spool.age, tags)
  add(metrics, "agent.spool.messages", spool.spooled, tags)
  add(metrics, "agent.spool.quarantined", spool.quarantined, tags)
  add(metrics, "agent.spool.failing", spool.state == "ok" and 0 or 1, tags)
end

local function add_outbox(metrics, outbox)
  local tags = { output = outbox.output }
  if outbox.spool then add_spool(metrics, outbox.spool, tags) end
  add(metrics, "agent.outbox.bytes", outbox.bytes, tags)
  add(metrics, "agent.outbox.messages", outbox.messages, tags)
  add(metrics, "agent.published.messages", outbox.published, tags)
  add(metrics, "agent.published.bytes", outbox.published_bytes, tags)
  for reason, count in pairs(outbox.dropped) do
    add(metrics, "agent.dropped", count, { what = "message", reason = reason, output = outbox.output })
  end
  for reason, count in pairs(outbox.points_dropped or {}) do
    add(metrics, "agent.dropped", count, { what = "point", reason = reason, output = outbox.output })
  end
end

local function add_outboxes(metrics, outboxes, points_dropped)
  for _, outbox in ipairs(outboxes) do add_outbox(metrics, outbox) end
  for reason, count in pairs(points_dropped) do
    add(metrics, "agent.dropped", count, { what = "point", reason = reason, output = "all" })
  end
end

--- env.agent hands in what there is to tell: errors(), stall_ms() (longest since asked last),
--- usage(visit) of the scheduler, outboxes() (see publish), points_dropped(), registry_age() (seconds or nil).
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
    add(metrics, "agent.loop.stall_ms", ms(agent.stall_ms() / 1e3))
    add(metrics, "agent.mem.rss", uv.resident_set_memory())
    add(metrics, "agent.mem.lua", math.floor(collectgarbage("count") * 1024))
    local age = agent.registry_age()
    if age then add(metrics, "agent.registry.age", math.floor(age)) end
    add_items(metrics, agent.usage)
    add_outboxes(metrics, agent.outboxes(), agent.points_dropped())
    done(metrics)
  end
  return { run = run }
end

return { name = "AGENT", interval = 60, rates = true, new = new }
