local cjson = require("cjson")
local points = require("agent.publish.points")

local NOW = 1714557600

local function decode(metrics, host)
  local bodies, dropped = points.encode(metrics, host or "web07", NOW)
  if #bodies == 0 then return {}, dropped end
  assert.equal(1, #bodies)
  return cjson.decode(points.head("shop.loda") .. bodies[1]).points, dropped
end

local function value_text(value)
  local bodies = points.encode({ { name = "n", value = value } }, "h", NOW)
  return bodies[1]:match('"value":(.-)}}')
end

describe("a message", function()
  it("has the shape of contracts.md §2.2, in its order", function()
    local bodies = points.encode({ { name = "cpu.idle", value = 97.25 } }, "web07", NOW)
    assert.equal('{"database":"collect.shop.loda","retentionPolicy":"default","points":'
      .. '[{"measurement":"cpu.idle","timestamp":1714557600,"tags":{"host":"web07"},"fields":{"value":97.25}}]'
      .. ',"precision":"s"}', points.head("shop.loda") .. bodies[1])
  end)

  it("is none when no point is left", function()
    assert.same({}, (points.encode({}, "h", NOW)))
    assert.same({}, (points.encode({ { name = "x", value = 0 / 0 } }, "h", NOW)))
  end)

  it("is split before the limit, and loses no point", function()
    local metrics = {}
    for i = 1, 500 do metrics[i] = { name = "m" .. i, value = i } end
    local bodies = points.encode(metrics, "h", NOW, 4096)
    assert.is_true(#bodies > 10)
    local seen = 0
    for _, body in ipairs(bodies) do
      assert.is_true(#body <= 4096)
      for _, point in ipairs(cjson.decode(points.head("a") .. body).points) do
        seen = seen + 1
        assert.equal("m" .. seen, point.measurement)
      end
    end
    assert.equal(500, seen)
  end)

  it("drops a point that fits in no message", function()
    local bodies, dropped = points.encode({ { name = "a", value = ("x"):rep(5000) }, { name = "b", value = 1 } },
      "h", NOW, 4096)
    assert.equal(1, #bodies)
    assert.same({ too_big = 1 }, dropped)
  end)
end)

describe("a value", function()
  it("that is an integer is exact to 2^53", function()
    assert.equal("9007199254740992", value_text(2 ^ 53))
    assert.equal("9007199254740991", value_text(2 ^ 53 - 1))
    assert.equal("-9007199254740992", value_text(-2 ^ 53))
    assert.equal("0", value_text(-0))
    assert.equal("1700000000000000", value_text(1700000000000000))
  end)

  it("that is a float reads back equal, in its shortest form", function()
    assert.equal("0.1", value_text(0.1))
    assert.equal("97.18", value_text(97.18))
    for _, v in ipairs({ 0.1 + 0.2, 1 / 3, 1e300, 2 ^ 60, 5e-324, 123456.789012345678 }) do
      assert.equal(v, tonumber(value_text(v)))
    end
  end)

  it("may be a string or a boolean", function()
    assert.equal('"97.18"', value_text("97.18"))
    assert.equal("true", value_text(true))
    assert.equal("false", value_text(false))
  end)

  it("that JSON or the router can't carry loses its point alone, counted by reason", function()
    local left, dropped = decode({
      { name = "nan", value = 0 / 0 }, { name = "inf", value = math.huge }, { name = "inf", value = -math.huge },
      { name = "none" }, { name = "null", value = cjson.null }, { name = "object", value = {} },
      { name = "", value = 1 }, { name = "tag", value = 1, tags = { a = "" } }, { name = "good", value = 1 },
      { name = "key", value = 1, tags = { [""] = "x" } }, { name = "blank", value = 1, tags = { a = "  " } },
    })
    assert.equal(1, #left)
    assert.equal("good", left[1].measurement)
    assert.same({ not_finite = 3, null = 2, bad_type = 1, no_name = 1, empty_tag = 3 }, dropped)
  end)
end)

describe("a timestamp", function()
  local function stamp(at)
    return decode({ { name = "n", value = 1, timestamp = at } })[1].timestamp
  end

  it("between 1e9 and 1e10 is kept, cut to whole seconds", function()
    assert.equal(1000000000, stamp(1e9))
    assert.equal(9999999999, stamp(9999999999))
    assert.equal(1714557601, stamp(1714557601.9))
  end)

  it("of any other size becomes the time of sending", function()
    for _, at in ipairs({ 0, 999999999, 1714557600000, -5, 0 / 0, math.huge }) do
      assert.equal(NOW, stamp(at))
    end
  end)
end)

describe("tags", function()
  local function tags(given)
    return decode({ { name = "n", value = 1, tags = given } })[1].tags
  end

  it("are trimmed, then each space becomes a dash; nothing else is touched", function()
    assert.same({ host = "web07", path = "a--b", other = "x\ty,z=1\\,2" },
      tags({ path = "  a  b\n", other = "x\ty,z=1\\,2" }))
  end)

  it("always have a host: the producer's if not empty, else this machine's", function()
    assert.same({ host = "router-1" }, tags({ host = "router-1" }))
    assert.same({ host = "router-1", a = "b" }, tags({ host = "router 1", a = "b" }))
    assert.same({ host = "web07" }, tags({ host = "" }))
    assert.same({ host = "web07" }, tags({}))
  end)

  it("keep quotes, control characters and UTF-8; bytes that are no UTF-8 become U+FFFD", function()
    assert.equal('q"\1ü€😀', tags({ k = 'q"\1ü€😀' }).k)
    assert.equal("a\239\191\189b\239\191\189", tags({ k = "a\255b\192" }).k)
    assert.equal("\239\191\189\239\191\189\239\191\189", tags({ k = "\237\160\128" }).k)
  end)
end)

describe("the body of a POST /post", function()
  local metrics = require("host.metrics")

  -- What the reader makes of a body, and what M.encode() makes of its metrics: points, and how many were dropped why.
  local function both(body, max, count)
    local fast, dropped = {}, {}
    local reader = points.reader(body, 'web"07', NOW, function(why) dropped[why] = (dropped[why] or 0) + 1 end, max)
    local more, why, code
    repeat more, why, code = reader:encode(fast, count or 1000) until not more
    if more == nil then return { why, code } end
    local list = {}
    assert.is_false(metrics.reader(body):read(list, 1e6))
    local slow, lost = points.encode(list, 'web"07', NOW, max)
    assert.same(lost or {}, dropped)
    return fast, slow
  end

  local function decoded(bodies)
    local all = {}
    for _, body in ipairs(bodies) do
      for _, point in ipairs(cjson.decode(points.head("x") .. body).points) do all[#all + 1] = point end
    end
    return all
  end

  local function expect_same(body, max, count)
    local fast, slow = both(body, max, count)
    assert.same(decoded(slow), decoded(fast))
    return fast, slow
  end

  it("becomes the same points, whatever they hold", function()
    for _, value in ipairs({ "0", "-0", "1", "-17", "9007199254740992", "9007199254740993", "-9007199254740993", "1e15",
      "123456789012345678", "0.1", "-2.5e-7", "1.7976931348623157e308", "5e-324", "3.0", "1e3", "0.30000000000000004",
      "true", "false", '"a"', '"a b"', '""', '"\\u00e4\\n\\""', '"\127"', '"\195\164"', '"\255"' }) do
      local fast, slow = expect_same('[{"name":"n","value":' .. value .. "}]")
      assert.same(slow, fast)
    end
    for _, tags in ipairs({ "{}", "null", '{"a":"b"}', '{"host":"h"}', '{"host":"","a":"b"}', '{"a":" b  c "}',
      '{"a":""}', '{"a":null}', '{"":"x"}', '{"a":"1","b":"2","a":"3"}', '{"host":"a","host":"b"}', '{"a\\"":"\\\\"}',
      '{"z":"1","host":"h","a":"2"}', '{"a":"\\u0020x"}', '{"\195\164":"\255"}' }) do
      expect_same('[{"name":"n","value":1,"tags":' .. tags .. '},{"name":"m","value":2}]')
    end
    for _, at in ipairs({ "0", "-1", "999999999", "1000000000", "10000000000", "10000000001", "17000000000000",
      "null" }) do
      local fast, slow = expect_same('[{"name":"n","value":1,"timestamp":' .. at .. "}]")
      assert.same(slow, fast)
    end
    expect_same('[{"name":"","value":1},{"name":"\\u0061","value":1},{"value":2}]')
  end)

  it("is refused for the same reasons", function()
    for _, body in ipairs({ "", "{}", "[", '[{"name":"a","value":1}', '[{"name":"a b","value":1}]', '[{"name":"a"}]',
      '[{"name":"\\u0020","value":1}]', '[{"name":"a","value":1},{"name":"b","value":[1]}]' }) do
      local _, why, code = metrics.reader(body):read({}, 100)
      assert.same({ why, code }, (both(body)))
    end
    assert.same({}, (both("null")))
    assert.same({}, (both("[]")))
  end)

  it("becomes several bodies where one would be too large, whatever the slices", function()
    local entries = {}
    for i = 1, 400 do
      local tag = i % 7 == 0 and "a b" or ("x"):rep(i % 90)
      entries[i] = ('{"name":"n%d","value":%d,"tags":{"t":"%s"}}'):format(i, i, tag)
    end
    for i = 50, 400, 50 do entries[i] = ('{"name":"big","value":"%s"}'):format(("y"):rep(2000)) end
    for _, count in ipairs({ 1, 3, 1000 }) do
      local fast, slow = expect_same("[" .. table.concat(entries, ",") .. "]", 1024, count)
      assert.equal(#slow, #fast)
      for i, body in ipairs(fast) do
        assert.is_true(#body <= 1024)
        assert.equal(#slow[i], #body)
      end
    end
  end)
end)
