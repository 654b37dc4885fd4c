local namespace = require("agent.namespace")

describe("a namespace", function()
  it("is valid when nsqd takes its topic", function()
    assert.is_true(namespace.valid("front.shop-1.loda_x"))
    assert.is_true(namespace.valid(("a"):rep(56)))
    for _, bad in ipairs({ "", ("a"):rep(57), "a b", "a/b", "a\n", "a#ephemeral" }) do
      assert.is_false(namespace.valid(bad))
    end
  end)
end)
