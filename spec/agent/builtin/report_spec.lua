local report = require("agent.builtin.report")

local function metrics(n)
  local list = {}
  for i = 1, n do list[i] = { name = "m" .. i, value = i } end
  return list
end

-- An outcome that keeps what it is told, and turns of the loop that are taken by hand.
local function setup()
  local box = { parts = {}, turns = {} }
  box.outcome = {
    part = function(_, run) box.parts[#box.parts + 1] = run.metrics end,
    report = function(_, run) box.reported = run end,
  }
  box.after = function(_, fn) box.turns[#box.turns + 1] = fn end
  return box
end

describe("agent.builtin.report", function()
  it("reports a run with what it cost, to the millionth", function()
    local box = setup()
    report({ ns = "a.loda", name = "redis" }, { status = 0, metrics = metrics(2), seconds = 0.12345678,
      cpu = 0.0000012345, bytes = 40 }, box.outcome, box.after)
    assert.same({ kind = "goplugin", ns = "a.loda", name = "redis", type = "regular", status = 0, metrics = metrics(2),
      usage = { seconds = 0.123457, cpu_ms = 0.001235, output_bytes = 40 } }, box.reported)
  end)

  it("reports a run that gave nothing, and cost nothing that is known", function()
    local box = setup()
    report({ ns = "a.loda", name = "redis" }, { status = 1, reason = "no such function" }, box.outcome, box.after)
    assert.same({}, box.reported.metrics)
    assert.equal("no such function", box.reported.reason)
    assert.is_nil(box.reported.usage)
  end)

  it("publishes many metrics in turns of the loop, all of them and in order", function()
    local box = setup()
    report({ ns = "a.loda", name = "redis" }, { status = 0, metrics = metrics(600) }, box.outcome, box.after)
    while box.turns[1] do table.remove(box.turns, 1)() end
    local all = {}
    for _, part in ipairs(box.parts) do
      assert.equal(250, #part)
      for _, metric in ipairs(part) do all[#all + 1] = metric end
    end
    for _, metric in ipairs(box.reported.metrics) do all[#all + 1] = metric end
    assert.same(metrics(600), all)
  end)
end)
