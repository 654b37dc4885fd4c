local join = require("agent.publish.join").join

local TAIL = '],"precision":"s"}'

local function message(text, head)
  return { head or "h", "[" .. text .. TAIL }
end

local function texts(messages)
  local list = {}
  for i, one in ipairs(messages) do list[i] = one[1] .. one[2] end
  return list
end

describe("joining messages", function()
  it("makes one of neighbours with the same head, and remembers them", function()
    local a, b, c, d = message("1"), message("2"), message("3", "other"), message("4")
    local joined = join({ a, b, c, d }, 1000)
    assert.same({ "h[1,2" .. TAIL, "other[3" .. TAIL, "h[4" .. TAIL }, texts(joined))
    assert.same({ a, b }, joined[1].parts)
    assert.equal(c, joined[2])
    assert.equal(d, joined[3])
  end)

  it("keeps within the size", function()
    local size = #message("1")[2] + 1
    assert.equal(2, #join({ message("1"), message("2"), message("3") }, 2 * size))
    assert.equal(3, #join({ message("1"), message("2"), message("3") }, 2 * size - 2))
  end)

  it("leaves alone what is large, what is to be alone, and what it doesn't know", function()
    local alone = message("2")
    alone.alone = true
    local list = { message("1"), alone, message("3"), { "h", "{}" }, message(("x"):rep(5000)), message("4") }
    assert.same(list, join(list, 1e6))
    assert.equal(list, join(list, 0))
  end)
end)
