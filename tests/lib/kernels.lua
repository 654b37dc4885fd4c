-- Fixture trees of several kernels for specs: a reader that can jump from one snapshot to the next, and a
-- clock that stands still until told otherwise.

local procfs = require("host.procfs")

local M = {
  names = { "linux-2.6.32", "linux-3.10", "linux-4.18", "linux-6.1" },
}

local function path(name, snapshot)
  return "tests/fixtures/" .. name .. (snapshot == "later" and "/later" or "")
end

--- A reader of tests/fixtures/NAME. snapshot: nil, or "later" for ten seconds after.
function M.open(name, snapshot)
  return assert(procfs.open({
    procfs = path(name, snapshot) .. "/proc",
    sysfs = "tests/fixtures/" .. name .. "/sys",
  }))
end

--- { procfs, clock, conf, at(seconds), show(source) }: procfs asks `source`, a reader or a table of
--- functions, whatever it is at that time; clock.mono() is what at() said last.
function M.env(source, conf)
  local now = 1000
  local env = { conf = conf or { ifaceprefix = {} } }
  env.clock = {
    mono = function() return now end,
    wall = function() return 1.6e9 + now end,
  }
  env.procfs = setmetatable({}, {
    __index = function(_, method)
      return function(_, ...) return source[method](source, ...) end
    end,
  })
  function env.at(seconds) now = seconds end
  function env.show(other) source = other end
  return env
end

--- Runs a collector once; returns its metrics and err.
function M.run(collector)
  local metrics, err, calls = nil, nil, 0
  collector.run(function(m, e)
    metrics, err, calls = m, e, calls + 1
  end)
  assert(calls == 1, "done was called " .. calls .. " times")
  return metrics, err
end

--- "name" or "name tag=value" → value, so that a spec compares one table.
function M.flat(metrics)
  local flat = {}
  for _, metric in ipairs(metrics) do
    local key = metric.name
    for tag, value in pairs(metric.tags or {}) do
      key = key .. " " .. tag .. "=" .. value
    end
    assert(flat[key] == nil, "twice: " .. key)
    flat[key] = metric.value
  end
  return flat
end

--- What the collector of the group gives for the two snapshots of a kernel, `seconds` apart; flat, and err.
function M.rates(group, name, seconds, conf)
  local first, later = M.open(name), M.open(name, "later")
  local env = M.env(first, conf)
  local collector = require("agent.collect." .. group).new(env)
  M.run(collector)
  env.show(later)
  env.at(1000 + seconds)
  local metrics, err = M.run(collector)
  first:close()
  later:close()
  return M.flat(metrics), err, metrics
end

return M
