-- What a finished run becomes, against contracts.md §3 and §5.4.

local outcome = require("agent.outcome")

local function fixture(exception, later)
  local emitted, warnings = {}, {}
  local made = outcome.new({
    exception = exception or "exception.monitor.loda", later = later,
    emit = function(namespaces, metrics)
      emitted[#emitted + 1] = { ns = table.concat(namespaces, ","), metrics = metrics }
    end,
    log = { warning = function(part, message, fields)
      warnings[#warnings + 1] = { part = part, message = message, fields = fields }
    end },
  })
  return made, emitted, warnings
end

local function run(changes)
  local r = { kind = "plugin", ns = "front.shop.loda", name = "PLUGIN.mysql", project = "ops/mysql", type = "regular",
    commit = "c0ffee", status = 0, metrics = {} }
  for key, value in pairs(changes or {}) do r[key] = value end
  return r
end

describe("the measurement of a metric", function()
  it("begins with PLUGIN. once, whether or not the item's name does", function()
    assert.equal("PLUGIN.mysql.threads", outcome.measurement("PLUGIN.mysql", "ops/mysql", "threads"))
    assert.equal("PLUGIN.mysql.threads", outcome.measurement("mysql", nil, "threads"))
    assert.equal("PLUGIN.PLUGINX.threads", outcome.measurement("PLUGINX", nil, "threads"))
  end)

  it("of a SEC- project begins with SEC. and the item's name", function()
    assert.equal("SEC.PLUGIN.audit.sudo", outcome.measurement("PLUGIN.audit", "ops/SEC-audit", "sudo"))
    assert.equal("PLUGIN.audit.sudo", outcome.measurement("PLUGIN.audit", "SEC-ops/audit", "sudo"))
  end)
end)

describe("the target of metrics", function()
  it("is the plugin's own namespace", function()
    assert.equal("front.shop.loda", outcome.target("front.shop.loda", "ops/mysql"))
  end)

  it("of a SEC- project is sec. and all labels but the first", function()
    assert.equal("sec.shop.loda", outcome.target("front.shop.loda", "ops/SEC-audit"))
    assert.equal("sec.shop.loda", outcome.target("front.shop.loda", "SEC-audit"))
  end)

  it("of a SEC- project in a namespace of one label is none", function()
    local ns, why = outcome.target("loda", "ops/SEC-audit")
    assert.is_nil(ns)
    assert.matches("loda has no label", why)
  end)
end)

describe("a run", function()
  it("that is ok gives its metrics, its status and what it cost in one emit", function()
    local made, emitted, warnings = fixture()
    made:report(run({
      metrics = { { name = "threads", value = 3, tags = { server = "a" }, timestamp = 1700000000 },
        { name = "state", value = "1.5" } },
      usage = { seconds = 0.25, cpu_ms = 12, maxrss = 4096, output_bytes = 99 },
    }))
    assert.same({ { ns = "front.shop.loda", metrics = {
      { name = "PLUGIN.mysql.threads", value = 3, tags = { server = "a" }, timestamp = 1700000000 },
      { name = "PLUGIN.mysql.state", value = "1.5" },
      { name = "plugin.mysql", value = 0, tags = { commit = "c0ffee", type = "regular" } },
      { name = "agent.plugin.seconds", value = 0.25, tags = { plugin = "mysql" } },
      { name = "agent.plugin.cpu_ms", value = 12, tags = { plugin = "mysql" } },
      { name = "agent.plugin.maxrss", value = 4096, tags = { plugin = "mysql" } },
      { name = "agent.plugin.output_bytes", value = 99, tags = { plugin = "mysql" } },
    } } }, emitted)
    assert.same({}, warnings)
  end)

  it("leaves the caller's metrics as they were", function()
    local made = fixture()
    local r = run({ metrics = { { name = "threads", value = 3 } } })
    made:report(r)
    assert.same({ { name = "threads", value = 3 } }, r.metrics)
  end)

  it("of a SEC- project tells of itself in its own namespace, its metrics in sec.", function()
    local made, emitted = fixture()
    made:report(run({ project = "ops/SEC-audit", name = "PLUGIN.audit", metrics = { { name = "sudo", value = 1 } } }))
    assert.same({
      { ns = "sec.shop.loda", metrics = { { name = "SEC.PLUGIN.audit.sudo", value = 1 } } },
      { ns = "front.shop.loda",
        metrics = { { name = "plugin.audit", value = 0, tags = { commit = "c0ffee", type = "regular" } } } },
    }, emitted)
  end)

  it("of a SEC- project in a namespace of one label loses its metrics with a warning", function()
    local made, emitted, warnings = fixture()
    made:report(run({ ns = "loda", project = "ops/SEC-audit", metrics = { { name = "sudo", value = 1 } } }))
    assert.equal(1, #emitted)
    assert.equal("plugin.mysql", emitted[1].metrics[1].name)
    assert.equal("metrics dropped", warnings[1].message)
  end)

  for status, message in ipairs({ "run failed", "run timed out", "run output refused" }) do
    it("with status " .. status .. " is told in the exception namespace and the log", function()
      local made, emitted, warnings = fixture()
      made:report(run({ status = status, type = "call", reason = "exit status 7" }))
      assert.same({
        { ns = "front.shop.loda",
          metrics = { { name = "plugin.mysql", value = status, tags = { commit = "c0ffee", type = "call" } } } },
        { ns = "exception.monitor.loda", metrics = { { name = "plugin.result", value = 1,
          tags = { ns = "front.shop.loda", name = "ops/mysql", type = "call" } } } },
      }, emitted)
      assert.same({ { part = "plugin", message = message,
        fields = { ns = "front.shop.loda", name = "PLUGIN.mysql", reason = "exit status 7", commit = "c0ffee" } } },
        warnings)
    end)
  end

  it("that failed still gives the metrics that it has", function()
    local made, emitted = fixture()
    made:report(run({ status = 3, metrics = { { name = "good", value = 1 } } }))
    assert.equal("PLUGIN.mysql.good", emitted[1].metrics[1].name)
  end)

  it("of a builtin that failed is a goplugin.result, named by its item", function()
    local made, emitted = fixture()
    local r = run({ kind = "goplugin", name = "http_check", status = 1 })
    r.project, r.commit = nil, nil
    made:report(r)
    assert.same({
      { ns = "front.shop.loda",
        metrics = { { name = "plugin.http_check", value = 1, tags = { commit = "-", type = "regular" } } } },
      { ns = "exception.monitor.loda",
        metrics = { { name = "goplugin.result", value = 1, tags = { ns = "front.shop.loda", name = "http_check" } } } },
    }, emitted)
  end)

  it("with very many metrics publishes them in several turns of the loop, each once", function()
    local waiting = {}
    local made, emitted = fixture(nil, function(fn) waiting[#waiting + 1] = fn end)
    local r = run()
    for i = 1, 1200 do r.metrics[i] = { name = "m" .. i, value = i } end
    made:report(r)
    assert.equal(1, #emitted)
    while #waiting > 0 do table.remove(waiting)() end
    local values = {}
    for _, one in ipairs(emitted) do
      assert.is_true(#one.metrics <= 500)
      for _, metric in ipairs(one.metrics) do values[#values + 1] = metric.value end
    end
    assert.equal(1201, #values)
    for i = 1, 1200 do assert.equal(i, values[i]) end
  end)

  it("that failed stays out of an exception namespace that isn't configured", function()
    local made, emitted = fixture("")
    made:report(run({ status = 1 }))
    assert.equal(1, #emitted)
  end)
end)
