local json = require("agent.json")

describe("JSON of an answer", function()
  it("keeps integers exact and sorts the keys", function()
    assert.equal('{"a":9007199254740992,"b":-1,"c":0.1}', json.encode({ c = 0.1, a = 2 ^ 53, b = -1 }))
  end)

  it("escapes what JSON wants escaped", function()
    assert.equal('"a\\"b\\\\c\\n\\u0001\\u007f"', json.encode('a"b\\c\n\1\127'))
  end)

  it("tells an empty list from an empty object", function()
    assert.equal("{}", json.encode({}))
    assert.equal("[]", json.encode(json.list({})))
    assert.equal('["a","b"]', json.encode({ "a", "b" }))
  end)

  it("has null for what JSON can't say", function()
    assert.equal("null", json.encode(0 / 0))
    assert.equal("null", json.encode(math.huge))
    assert.equal("null", json.encode(nil))
    assert.equal("null", json.encode(print))
  end)

  it("reads back every number as it was", function()
    for _, n in ipairs({ 1 / 3, 1e300, 2 ^ 60, 97.25, -0.5 }) do assert.equal(n, tonumber(json.encode(n))) end
  end)
end)
