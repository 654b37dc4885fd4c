local self = require("agent.collect.self")

describe("the agent's own group", function()
  local usage, at, stall

  local function run()
    local found = {}
    self.new({
      clock = { mono = function() at = at + 10 return at end },
      agent = {
        errors = function() return 3 end, stall_ms = function() return stall end,
        usage = function(visit) for id, item in pairs(usage) do visit(id, item) end end,
        outboxes = function()
          return { { output = "nsq", bytes = 7, messages = 2, published = 5, published_bytes = 50, dropped = {} } }
        end,
        points_dropped = function() return { null = 4 } end,
        registry_age = function() return 61.5 end,
      },
    }).run(function(metrics)
      for _, metric in ipairs(metrics) do
        local tag = metric.tags and (metric.tags.item or metric.tags.reason)
        found[metric.name .. (tag and "/" .. tag or "")] = metric.value
      end
    end)
    return found
  end

  before_each(function()
    at, stall, usage = 0, 0.123456, { CPU = { longest_s = 0.0123456, missed = 0, errors = 0 } }
  end)

  it("tells what is handed in, milliseconds to a thousandth", function()
    local found = run()
    assert.equal(3, found["agent.errors"])
    assert.equal(0.123, found["agent.loop.stall_ms"])
    assert.equal(12.346, found["agent.collect.ms/CPU"])
    assert.equal(7, found["agent.outbox.bytes"])
    assert.equal(4, found["agent.dropped/null"])
    assert.equal(10, found["agent.uptime"])
    assert.equal(61, found["agent.registry.age"])
  end)

  it("gives CPU time only from the second run on", function()
    assert.is_nil(run()["agent.cpu.percent"])
  end)

  it("counts misses and errors from the first one on", function()
    assert.is_nil(run()["agent.collect.missed/CPU"])
    usage.CPU.missed, usage.CPU.errors = 2, 1
    local found = run()
    assert.equal(2, found["agent.collect.missed/CPU"])
    assert.equal(1, found["agent.collect.errors/CPU"])
  end)
end)
