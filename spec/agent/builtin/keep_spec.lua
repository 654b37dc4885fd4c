local keep = require("agent.builtin.keep")

describe("the kept state of builtin functions", function()
  it("comes back as it was written", function()
    local states = { ["BUILTIN a.loda x"] = "encoded\0bytes", ["BUILTIN b.loda x"] = ("y"):rep(1000) }
    assert.same(states, keep.decode(keep.encode(states)))
  end)

  it("is not taken when the file is torn, damaged or another", function()
    local bytes = keep.encode({ a = "b", c = "d" })
    assert.is_nil(keep.decode(bytes:sub(1, -2)))
    assert.is_nil(keep.decode(bytes:sub(1, -2) .. "?"))
    assert.is_nil(keep.decode("something else"))
    assert.is_nil(keep.decode(""))
  end)
end)
