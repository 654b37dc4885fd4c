local lines = require("agent.publish.influx.lines")
local points = require("agent.publish.points")

local function line(point)
  point.measurement = point.measurement or "m"
  point.timestamp = point.timestamp or 1714557600
  point.fields = point.fields or { value = 1 }
  return lines.line(point)
end

local function value(v)
  return (assert(line({ fields = { value = v } })):match("^m value=(.*) 1714557600$"))
end

local function dropped(point)
  local text, why = line(point)
  assert.is_nil(text)
  return why
end

describe("a point as a line", function()
  it("has its tags in order, the field, and the time in seconds", function()
    assert.equal("cpu.idle,core=0,host=web07 value=97.25 1714557600",
      line({ measurement = "cpu.idle", tags = { host = "web07", core = "0" }, fields = { value = 97.25 } }))
    assert.equal("log,host=a offset=12,value=1 1714557600",
      line({ measurement = "log", tags = { host = "a" }, fields = { value = 1, offset = 12 } }))
  end)

  it("has every number as a float, exact", function()
    assert.equal("9007199254740992", value(2 ^ 53))
    assert.equal("-9007199254740991", value(-(2 ^ 53 - 1)))
    assert.equal("0.1", value(0.1))
    assert.equal("1e+300", value(1e300))
    for _, n in ipairs({ 1 / 3, -2 / 7, 5e-324, 1.7976931348623157e308 }) do
      assert.equal(n, tonumber(value(n)))
    end
  end)

  it("has a string that is a number as a float, as the router writes it", function()
    assert.equal("97.18", value("97.18"))
    assert.equal("-2", value("-2"))
    assert.equal("1000000", value("1e6"))
    for _, text in ipairs({ "+1", "0x10", "5i", "1e999", "inf", "nan", ".", "1 ", "" }) do
      assert.equal('"' .. text .. '"', value(text))
    end
  end)

  it("has other strings quoted and escaped, and booleans bare", function()
    assert.equal([["say \"hi\" to C:\\"]], value([[say "hi" to C:\]]))
    assert.equal('"two\nlines, a=b"', value("two\nlines, a=b"))
    assert.equal('"t"', value("t"))
    assert.equal("true", value(true))
    assert.equal("false", value(false))
  end)

  it("has commas, spaces and equals signs escaped where they mean something", function()
    assert.equal([[a\,b\ c=d,k\=\ \,1=v\,\ \=2 value=1 1714557600]],
      line({ measurement = "a,b c=d", tags = { ["k= ,1"] = "v, =2" } }))
    assert.equal("m,t=Grüße value=1 1714557600", line({ tags = { t = "Grüße" } }))
  end)

  it("leaves an escape that a tag came with as the router does", function()
    assert.equal([[m,t=a\,b\ c\d value=1 1714557600]], line({ tags = { t = [[a\,b\ c\d]] } }))
  end)

  it("is none where line protocol has no words for it", function()
    assert.equal("backslash", dropped({ tags = { path = [[C:\]] } }))
    assert.equal("newline", dropped({ tags = { t = "a\nb" } }))
    assert.equal("newline", dropped({ measurement = "a\rb" }))
    assert.equal("comment", dropped({ measurement = "#m" }))
    assert.equal("no_name", dropped({ measurement = "" }))
    assert.equal("empty_tag", dropped({ tags = { t = "" } }))
    assert.equal("reserved_name", dropped({ tags = { time = "now" } }))
    assert.equal("reserved_name", dropped({ tags = { _field = "x" } }))
    assert.equal("reserved_name", dropped({ fields = { time = 1 } }))
    assert.equal("not_finite", dropped({ fields = { value = 0 / 0 } }))
    assert.equal("not_finite", dropped({ fields = { value = -math.huge } }))
    assert.equal("null", dropped({ fields = { value = require("cjson").null } }))
    assert.equal("null", dropped({ fields = {} }))
    assert.equal("bad_type", dropped({ fields = { value = {} } }))
    assert.equal("bad_type", dropped({ tags = { t = 1 } }))
    assert.equal("bad_time", dropped({ timestamp = 1.5 }))
    assert.equal("bad_time", dropped({ timestamp = 9223372037 }))
    assert.equal("too_long", dropped({ tags = { t = ("x"):rep(65530) } }))
    assert.equal("bad_type", (select(2, lines.line("text"))))
  end)
end)

describe("a message as lines", function()
  it("is what was published, point by point", function()
    local bodies = points.encode({
      { name = "cpu.idle", value = 97.25, timestamp = 1714557600 },
      { name = "disk", value = 1, tags = { path = [[C:\]] }, timestamp = 1714557600 },
      { name = "say", value = 'é "x"', tags = { where = "here and there" }, timestamp = 1714557601 },
    }, "web07", 1714557602)
    local database, list, lost = lines.of(points.head("front.shop.loda") .. bodies[1])
    assert.equal("collect.front.shop.loda", database)
    assert.same({ "cpu.idle,host=web07 value=97.25 1714557600",
      [[say,host=web07,where=here-and-there value="é \"x\"" 1714557601]] }, list)
    assert.same({ backslash = 1 }, lost)
  end)

  it("is none when it is not a message", function()
    for _, text in ipairs({ "", "{", "[]", "1", '{"database":1,"points":[]}', '{"database":"","points":[]}',
      '{"database":"d"}', '{"database":"d","points":1}', ("["):rep(5000) }) do
      local database, why = lines.of(text)
      assert.is_nil(database, text)
      assert.is_string(why)
    end
  end)

  it("never breaks on points of any shape", function()
    local database, list, lost = lines.of([[{"database":"d","points":[null,1,"x",[],{},{"measurement":1},
      {"measurement":"m","timestamp":1,"tags":[1],"fields":{"value":1}},
      {"measurement":"m","timestamp":1,"tags":null,"fields":{"value":1}},
      {"measurement":"m","timestamp":"1","fields":{"value":1}},
      {"measurement":"m","timestamp":1,"fields":[1]},
      {"measurement":"m","timestamp":1,"fields":{"value":1}}]}]])
    assert.equal("d", database)
    assert.same({ "m value=1 1" }, list)
    assert.is_true(lost.bad_type >= 8)
  end)
end)
