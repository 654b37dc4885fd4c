local history = require("agent.console.history")

local function status(uptime, published, more)
  local one = { pid = 1, uptime = uptime, cpu_seconds = uptime / 100,
    outbox = { published = published, published_bytes = published * 10 } }
  for key, value in pairs(more or {}) do one[key] = value end
  return one
end

describe("what top remembers", function()
  it("gives the rates since the start after one answer", function()
    local h = history.new()
    assert.equal(0, h:rates().messages)
    h:take(status(100, 500), 1000)
    assert.same({ messages = 5, bytes = 50, cpu = 1, seconds = 100, whole = true }, h:rates())
  end)

  it("gives those of the last half minute later", function()
    local h = history.new()
    for i = 0, 30 do h:take(status(100 + 2 * i, i < 10 and 0 or (i - 10) * 4), 1000 + 2 * i) end
    local rates = h:rates()
    assert.is_true(rates.seconds >= 30 and rates.seconds <= 32, rates.seconds)
    assert.equal(2, rates.messages)
    assert.is_true(#h.samples < 20)
  end)

  it("begins anew with a restarted agent", function()
    local h = history.new()
    h:take(status(100, 500, { schedules = { CPU = { last_ms = 9 } } }), 1000)
    h:take(status(2, 4, { schedules = { CPU = { last_ms = 1 } } }), 1010)
    assert.equal(2, h:rates().messages)
    assert.equal(1, h.longest.CPU)
  end)

  it("keeps the longest run of each item, which the agent forgets each minute", function()
    local h = history.new()
    h:take(status(100, 0, { schedules = { CPU = { last_ms = 1, longest_ms = 7 } } }), 1000)
    h:take(status(102, 0, { schedules = { CPU = { last_ms = 2, longest_ms = 0 } } }), 1002)
    assert.equal(7, h.longest.CPU)
  end)

  it("adds up all outputs", function()
    local h = history.new()
    h:take({ uptime = 10, outputs = { { outbox = { published = 10 } }, { outbox = { published = 20 } } } }, 0)
    assert.equal(3, h:rates().messages)
  end)
end)
