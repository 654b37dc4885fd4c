local health = require("agent.console.health")

local function status(changes)
  local all = { namespaces = { "a.loda" }, registry = { age = 3 }, output = { state = "connected" }, outbox = {} }
  for key, value in pairs(changes or {}) do all[key] = value end
  return all
end

describe("health by the status", function()
  it("is good while it collects and delivers", function()
    assert.same({ healthy = true, reasons = {} }, health.derive(status()))
    assert.is_true(health.derive(status({ output = { name = "file" } })).healthy)
    assert.is_true(health.derive(status({ registry = { age = 60, last_error = "refused" } })).healthy)
  end)

  it("is bad with a reason for each thing that isn't", function()
    local one = health.derive(status({ namespaces = {}, registry = { last_error = "no route" },
      output = { server = "10.0.0.1:4150", state = "waiting", last_error = { code = "X", message = "refused" } } }))
    assert.is_false(one.healthy)
    assert.same({ "this machine is in no namespace: nothing is published",
      "the registry has never answered: no route", "10.0.0.1:4150: not connected: refused" }, one.reasons)
    one = health.derive(status({ registry = { age = 7200, last_error = "no route" },
      output = { name = "file", last_error = "ENOSPC" } }))
    assert.same({ "the registry's answer is 2 h 0 min old: no route", "file: does not write: ENOSPC" }, one.reasons)
  end)

  it("does not depend on outputs of best effort", function()
    local broken = { state = "waiting", server = "b" }
    assert.is_true(health.derive(status({ outputs = { { output = { state = "connected" }, required = true },
      { output = broken, required = false } } })).healthy)
    assert.is_false(health.derive(status({ outputs = { { output = broken, required = true } } })).healthy)
  end)

  it("holds for a status of which nothing is known", function()
    assert.is_false(health.derive({}).healthy)
  end)
end)

describe("health as the agent tells it", function()
  it("goes by the status code, with its reasons", function()
    assert.same({ healthy = true, reasons = {} }, health.told(200, { status = "ok" }))
    assert.same({ healthy = false, reasons = { "no output", "stale" } },
      health.told(503, { reasons = { "no output", { message = "stale" } } }))
    assert.same({ healthy = false, reasons = {} }, health.told(503, nil))
    assert.is_nil(health.told(404, {}))
  end)
end)
