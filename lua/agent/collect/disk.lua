-- Group DISK: disk.io.* for every whole disk of the host (host.procfs decides which those are).

local rate = require("agent.collect.rate")

local fields = { "reads", "read_ms", "writes", "write_ms", "io_ms" }

-- Whether both tell of one device, and nothing went backwards. No kernel lists a device twice in a run.
local function is_comparable(base, now, run)
  if not base or base.run == run then return false end
  for _, field in ipairs(fields) do
    if now[field] < base[field] then return false end
  end
  return true
end

local function remember(base, now, run)
  base = base or { tags = { device = now.name } }
  for _, field in ipairs(fields) do
    base[field] = now[field]
  end
  base.run = run
  return base
end

-- seconds: between base and now.
local function append(metrics, base, now, seconds)
  local reads, writes = now.reads - base.reads, now.writes - base.writes
  local busy = now.read_ms - base.read_ms + now.write_ms - base.write_ms
  local requests = reads + writes
  local await = requests > 0 and rate.truncated(busy, requests) or 0
  local util = rate.truncated((now.io_ms - base.io_ms) / 10, seconds)
  local tags, n = base.tags, #metrics
  metrics[n + 1] = { name = "disk.io.read_requests", value = rate.truncated(reads, seconds), tags = tags }
  metrics[n + 2] = { name = "disk.io.write_requests", value = rate.truncated(writes, seconds), tags = tags }
  metrics[n + 3] = { name = "disk.io.await", value = await, tags = tags }
  metrics[n + 4] = { name = "disk.io.util", value = math.min(util, 100), tags = tags }
end

local M = { name = "DISK", interval = 10, rates = true }

function M.new(env)
  local procfs, mono = env.procfs, env.clock.mono
  local bases = {} -- device → its counters at the last run, its tags, the run it was last seen in
  local at, run = nil, 0
  local collector = {}

  --- Collects at once; done(metrics, err) is called before it returns.
  function collector.run(done)
    local disks, message, code = procfs:disks()
    if not disks then return done({}, { code = code, message = message }) end
    local now = mono()
    local seconds = at and now - at
    if seconds and seconds < rate.shortest then return done({}) end
    at, run = now, run + 1
    local metrics = {}
    for _, disk in ipairs(disks) do
      local base = bases[disk.name]
      if is_comparable(base, disk, run) then append(metrics, base, disk, seconds) end
      bases[disk.name] = remember(base, disk, run)
    end
    for device, base in pairs(bases) do
      if base.run ~= run then bases[device] = nil end
    end
    done(metrics)
  end

  return collector
end

return M
