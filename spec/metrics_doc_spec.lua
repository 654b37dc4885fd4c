-- docs/metrics.md and what the collectors emit must tell the same. A group joins by a line in `emitted`:
-- a function that returns every metric it can emit, on fixtures.

local kernels = require("kernels")

local function of_kernels(group)
  return function()
    local all = {}
    for _, name in ipairs(kernels.names) do
      local _, _, metrics = kernels.rates(group, name, 10)
      for _, metric in ipairs(metrics) do all[#all + 1] = metric end
    end
    return all
  end
end

local function fs()
  local fake_mounts = require("fake_mounts")
  local fake = fake_mounts.new()
  return (fake_mounts.run(fake_mounts.collector(fake, { kernel = "linux-4.18" }), fake))
end

-- Two runs of the agent's own group, with something of everything to tell.
local function own()
  local metrics
  local at = 0
  local collector = require("agent.collect.self").new({
    clock = { mono = function() at = at + 10 return at end },
    agent = {
      errors = function() return 0 end,
      stall_ms = function() return 1.5 end,
      usage = function(visit) visit("CPU", { longest_s = 0.0123456, missed = 1, errors = 2 }) end,
      outboxes = function()
        return { { output = "nsq", bytes = 1, messages = 1, published = 1, published_bytes = 1,
          dropped = { full = 1 },
          spool = { bytes = 1, files = 1, age = 1, spooled = 1, quarantined = 0, state = "ok" } } }
      end,
      points_dropped = function() return { not_finite = 1 } end,
      registry_age = function() return 61.5 end,
    },
  })
  for _ = 1, 2 do collector.run(function(list) metrics = list end) end
  return metrics
end

-- What the items named `item` give; `<name>` stands for the name in the rows.
local function of_items(results, item)
  local metrics = {}
  for _, result in ipairs(results) do
    for _, metric in ipairs(result.metrics) do
      local name = metric.name:gsub("^" .. item:gsub("%.", "%%."), "<name>")
      metrics[#metrics + 1] = { name = name, value = metric.value, tags = metric.tags }
    end
  end
  return metrics
end

local function port()
  local answer, results
  local collector = require("agent.collect.port").new({ ports = {
    check = function(_, callback) answer = callback return {} end,
  } })
  collector.run({ { ns = "a", name = "PORT.x.1", port = 1, timeout = 3 },
    { ns = "a", name = "PORT.x.1", port = 2, timeout = 3 } }, function(found) results = found end)
  answer({ 0.01, false })
  return of_items(results, "PORT.x.1")
end

local function proc()
  local fake = require("fake_proc").new()
  fake.add(7, { exe = "/usr/bin/x" })
  local env = fake.env()
  local collector, results = require("agent.collect.proc").new(env), nil
  for at = 1, 2 do
    env.at(1000 + 60 * at)
    fake.cpu(1000 * at)
    collector.run({ { ns = "a", name = "PROC.x", path = "/usr/bin/x", interval = 60 } },
      function(found) results = found end)
  end
  collector.close()
  fake.remove()
  return of_items(results, "PROC.x")
end

-- Runs of a plugin and a builtin named x with a metric m; `<plugin>` and `<metric>` stand for them in the rows.
local function runs()
  local metrics = {}
  local outcome = require("agent.outcome").new({
    exception = "a.b", log = { warning = function() end },
    emit = function(_, list)
      for _, metric in ipairs(list) do
        metric.name = metric.name:gsub("%.x%.m$", ".<plugin>.<metric>"):gsub("^plugin%.x$", "plugin.<plugin>")
        metrics[#metrics + 1] = metric
      end
    end,
  })
  local usage = { seconds = 0.1, cpu_ms = 1.5, maxrss = 4096, output_bytes = 1 }
  outcome:report({ kind = "plugin", ns = "a.b", name = "PLUGIN.x", project = "g/x", status = 1, usage = usage,
    metrics = { { name = "m", value = 1 } } })
  outcome:report({ kind = "plugin", ns = "a.b", name = "PLUGIN.x", project = "g/SEC-x", status = 0,
    metrics = { { name = "m", value = 1 } } })
  outcome:report({ kind = "goplugin", ns = "a.b", name = "x", status = 1 })
  return metrics
end

-- group, metrics(); module: the collector's, to compare its interval; only: a pattern of the names that the
-- function covers, where another line covers the rest of the group.
local emitted = {
  { group = "CPU", module = "cpu", metrics = of_kernels("cpu") },
  { group = "DISK", module = "disk", metrics = of_kernels("disk") },
  { group = "MEM", module = "mem", metrics = of_kernels("mem") },
  { group = "NET", module = "net", metrics = of_kernels("net") },
  { group = "FS", module = "fs", metrics = fs },
  { group = "PORT", module = "port", metrics = port },
  { group = "PROC", module = "proc", metrics = proc },
  { group = "AGENT", module = "self", metrics = own },
  { group = "PLUGIN", metrics = runs },
}

local function rows()
  local found = {}
  for line in io.lines("docs/metrics.md") do
    local name, unit, kind, tags, interval, group =
      line:match("^| `?([%w_.<>]+)`? | ([^|]*) | ([IF]) | ([^|]-) ?| (%d+) | (%u+) | [^|]+ |$")
    if name then
      assert(not found[name], name .. " has two rows")
      found[name] = { unit = unit, kind = kind, tags = tags, interval = tonumber(interval), group = group }
    end
  end
  return found
end

local function tag_names(metric)
  local names = {}
  for name in pairs(metric.tags or {}) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

describe("docs/metrics.md", function()
  local documented = rows()

  for _, entry in ipairs(emitted) do
    it("has a true row for every metric of " .. entry.group .. (entry.only or ""), function()
      for _, metric in ipairs(entry.metrics()) do
        local row = documented[metric.name]
        assert.is_table(row, metric.name .. " has no row")
        assert.are.equal(entry.group, row.group, metric.name)
        assert.are.equal(row.tags, tag_names(metric), metric.name)
        assert.are.equal("number", type(metric.value), metric.name)
        assert.are.equal(metric.value, metric.value, metric.name)
        if row.kind == "I" then assert.are.equal(0, metric.value % 1, metric.name) end
        if entry.module then
          assert.are.equal(require("agent.collect." .. entry.module).interval, row.interval, metric.name)
        end
      end
    end)

    it("has no row that " .. entry.group .. (entry.only or "") .. " does not emit", function()
      local seen = {}
      for _, metric in ipairs(entry.metrics()) do seen[metric.name] = true end
      for name, row in pairs(documented) do
        if row.group == entry.group and name:find(entry.only or "") then
          assert.is_true(seen[name], name .. " is documented, not emitted")
        end
      end
    end)
  end
end)
