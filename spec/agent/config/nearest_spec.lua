local nearest = require("agent.config.nearest")

describe("the nearest key", function()
  local known = { "agent", "agent.listen", "agent.socket", "log.logdir", "output.path" }

  it("is the one with the fewest changes", function()
    assert.equal("agent.listen", nearest("agent.lisen", known))
    assert.equal("log.logdir", nearest("log.logdri", known))
  end)

  it("is the same name elsewhere before a similar one", function()
    assert.equal("output.path", nearest("agent.path", known))
    assert.equal("agent.socket", nearest("log.Socket", known))
  end)

  it("is none when all are far, or when the key is endless", function()
    assert.is_nil(nearest("agent.interval", known))
    assert.is_nil(nearest(("x"):rep(1000), known))
  end)
end)
