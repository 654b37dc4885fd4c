-- Group MEM: mem.*, from /proc/meminfo.

local rate = require("agent.collect.rate")

local floor, max = math.floor, math.max

local function mebibytes(kibibytes)
  return floor(kibibytes / 1024)
end

local function percent(part, whole)
  return whole > 0 and rate.truncated(100 * part, whole) or 0
end

-- memory: what procfs:meminfo() returns, in KiB.
local function metrics_of(memory)
  local total, buffers, cached = mebibytes(memory.total), mebibytes(memory.buffers), mebibytes(memory.cached)
  local free
  if memory.available then
    free = mebibytes(memory.available)
  else
    free = mebibytes(memory.free) + buffers + cached
  end
  -- A container's meminfo may tell more available than there is in total.
  local used = max(total - free, 0)
  local swap, swap_free = mebibytes(memory.swap_total), mebibytes(memory.swap_free)
  return {
    { name = "mem.total", value = total },
    { name = "mem.free", value = free },
    { name = "mem.used", value = used },
    { name = "mem.used.percent", value = percent(used, total) },
    { name = "mem.buffers", value = buffers },
    { name = "mem.cached", value = cached },
    { name = "mem.swap.used.percent", value = percent(max(swap - swap_free, 0), swap) },
  }
end

local M = { name = "MEM", interval = 10, rates = false }

function M.new(env)
  local collector = {}

  --- Collects at once; done(metrics, err) is called before it returns.
  function collector.run(done)
    local memory, message, code = env.procfs:meminfo()
    if not memory then return done({}, { code = code, message = message }) end
    done(metrics_of(memory))
  end

  return collector
end

return M
