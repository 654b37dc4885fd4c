local plain = require("agent.config.plain")

local function refused(value)
  local copy, why = plain(value)
  assert.is_nil(copy)
  return why.key, why.message
end

describe("plain data", function()
  it("is copied deeply", function()
    local given = { a = { 1, 2, { b = "x" } }, ["c.d"] = true }
    local copy = plain(given)
    assert.same(given, copy)
    assert.not_equal(given.a, copy.a)
  end)

  it("holds no function, thread or userdata, and the refusal names its key", function()
    assert.same({ "agent.hook", "a function is no plain value" },
      { refused({ agent = { hook = function() end } }) })
    assert.same({ "list[2]", "a thread is no plain value" }, { refused({ list = { 1, coroutine.create(print) } }) })
    assert.same({ "x", "a userdata is no plain value" }, { refused({ x = io.stdout }) })
  end)

  it("holds no cycle, no NaN and no odd key", function()
    local cycle = {}
    cycle.self = { cycle }
    assert.same({ "self[1]", "the table contains itself" }, { refused(cycle) })
    assert.same({ "n", "not a finite number" }, { refused({ n = 0 / 0 }) })
    assert.same({ "n", "not a finite number" }, { refused({ n = math.huge }) })
    assert.same({ "", "a boolean is no key" }, { refused({ [true] = 1 }) })
  end)

  it("may hold the same table twice, but not grow without end by it", function()
    local shared = { 1 }
    assert.same({ { 1 }, { 1 } }, plain({ shared, shared }))
    local bomb = {}
    for _ = 1, 30 do bomb = { bomb, bomb } end
    local _, message = refused(bomb)
    assert.equal("more than 200000 values", message)
    local deep = {}
    for _ = 1, 100 do deep = { deep } end
    assert.truthy(select(2, refused(deep)):find("deeper"))
  end)
end)
