local strikes = require("agent.builtin.strikes")

describe("what had to be stopped by force", function()
  it("pauses twice as long each time, to an hour, until it ends well", function()
    local item, pauses = {}, {}
    for i = 1, 12 do pauses[i] = strikes.add(item, 10, 1000) end
    assert.same({ 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600 }, pauses)
    assert.equal(4600, item.not_before)
    strikes.clear(item)
    assert.same({}, item)
  end)
end)
