-- InfluxDB's line protocol against contracts.md §7.1.

local formats = require("formats")
local line = require("agent.formats.line")

local function read(text, options)
  return formats.check(line.reader, text, options)
end

local function metrics(text)
  local found = read(text)
  assert.same({}, found.refused)
  return found.metrics
end

local function value(text)
  return metrics("m value=" .. text)[1].value
end

describe("a line", function()
  it("gives a metric for each field, named measurement.field, with the line's tags and time", function()
    assert.same({
      { name = "cpu.usage_idle", value = 98.5, tags = { host = "web07", cpu = "cpu0" }, timestamp = 1714557600 },
      { name = "cpu.usage_user", value = 1, tags = { host = "web07", cpu = "cpu0" }, timestamp = 1714557600 },
    }, metrics("cpu,host=web07,cpu=cpu0 usage_idle=98.5,usage_user=1i 1714557600000000000\n"))
  end)

  it("with a field named value gives a metric named as the measurement", function()
    assert.same({ { name = "temperature", value = 21 } }, metrics("temperature value=21"))
  end)

  it("may have no time, several blanks, blanks around it and a carriage return", function()
    assert.same({ { name = "m.a", value = 1, timestamp = 1714557600 }, { name = "m.b", value = 2 },
      { name = "m.c", value = 3 } }, metrics("  m   a=1  1714557600  \r\n\n \t\nm b=2 \nm c=3"))
  end)

  it("that begins with # is a comment", function()
    assert.same({ { name = "m.a", value = 1 } }, metrics("# m x=1\nm a=1\n  # m y=1"))
  end)

  it("has its time in s, ms, us or ns, which its size tells", function()
    for _, at in ipairs({ "1714557600", "1714557600999", "1714557600999999", "1714557600123456789" }) do
      assert.equal(1714557600, metrics("m value=1 " .. at)[1].timestamp, at)
    end
    assert.equal(-5, metrics("m value=1 -5")[1].timestamp)
  end)
end)

describe("escapes of a line", function()
  it("take the meaning from comma, blank and equals sign", function()
    assert.same({ { name = "my_disk_.a_b_c", value = 1, tags = { ["mount,=point"] = "/a b,c=d" } } },
      metrics([[my\ disk\,,mount\,\=point=/a\ b\,c\=d a\ b\=c=1]]))
  end)

  it("are backslashes that stand for themselves before all else", function()
    assert.same({ path = [[C:\dir\x\\y]] }, metrics([[m,path=C:\dir\x\\y value=1]])[1].tags)
  end)

  it("in strings are those of quotation mark and backslash", function()
    assert.equal([[a "b" \ \n, c=d]], value([["a \"b\" \\ \n, c=d"]]))
  end)

  it("are not needed for quotation marks in tags, which are part of them", function()
    assert.same({ a = '"x"' }, metrics('m,a="x" value=1')[1].tags)
  end)
end)

describe("a field's value", function()
  it("is a float", function()
    for text, number in pairs({ ["1"] = 1, ["1.5"] = 1.5, [".5"] = 0.5, ["1."] = 1, ["-2"] = -2, ["1e6"] = 1e6,
      ["1.5e+09"] = 1.5e9, ["-0.1E-3"] = -1e-4 }) do
      assert.equal(number, value(text), text)
    end
  end)

  it("is an integer, exact as far as a double is", function()
    assert.equal(12, value("12i"))
    assert.equal(-3, value("-3i"))
    assert.equal(9007199254740992, value("9007199254740992i"))
    assert.equal(9007199254740991, value("9007199254740991u"))
  end)

  it("is a truth value in one of its spellings", function()
    for _, text in ipairs({ "t", "T", "true", "True", "TRUE" }) do assert.is_true(value(text)) end
    for _, text in ipairs({ "f", "F", "false", "False", "FALSE" }) do assert.is_false(value(text)) end
  end)

  it("is a string, also across lines", function()
    assert.same({ { name = "m.text", value = "one\ntwo, three=4" }, { name = "m.b", value = 1 }, { name = "n.c",
      value = 2 } }, metrics('m text="one\ntwo, three=4",b=1\nn c=2'))
  end)
end)

describe("a name", function()
  it("has an underscore for every character that a measurement can't have", function()
    assert.same({ "a_b.c_d", "_c3_a4.x" }, (function()
      local names = {}
      for i, metric in ipairs(metrics("a/b c:d=1\n/c3/a4 x=1")) do names[i] = metric.name end
      return names
    end)())
  end)

  it("begins with the prefix that was asked for", function()
    assert.equal("RUN.m.a", read("m a=1", { prefix = "RUN." }).metrics[1].name)
  end)
end)

describe("tags", function()
  it("that InfluxDB has reserved get an underscore behind them", function()
    assert.same({ time_ = "1", _field_ = "2" }, metrics("m,time=1,_field=2 value=1")[1].tags)
  end)

  it("with nothing but blanks in them are left out", function()
    assert.same({ { name = "m", value = 1 } }, metrics("m,a=\\ \\  value=1"))
  end)

  it("named host and name are tags like others", function()
    assert.same({ host = "db1", name = "x" }, metrics("m,host=db1,name=x value=1")[1].tags)
  end)
end)

describe("a bad line", function()
  local bad = {
    ["m"] = "byte 2: a tag, or a blank", ["m,a value=1"] = "byte 2: a tag", ["m,a= value=1"] = "byte 2: a tag",
    [",a=1 value=1"] = "byte 1: a measurement", ["m value"] = "byte 3: a field", ["m value="] = "byte 3: a field",
    ["m value=+1"] = "byte 3: a field", ["m value=NaN"] = "byte 3: a field", ["m value=yes"] = "byte 3: a field",
    ["m value=1x"] = "the end of the line", ["m value=1 2 3"] = "the end of the line",
    ["m value=1 1.5"] = "the end of the line", ["m value=1, b=2"] = "the end of the line",
    ['m value="x'] = "byte 3: a field", ["m value=1e999"] = "number out of range",
    ["m value=99999999999999999999i"] = "number out of range", ["m value=-1u"] = "the end of the line",
    ["m,a=1,a=2 value=1"] = "tag a is there twice", ["m,a=b\\ value=1"] = "a tag, or a blank and fields",
  }
  for text, reason in pairs(bad) do
    it("is refused with its number and reason, the others are kept: " .. text, function()
      local found = read("a value=1\n\n" .. text .. "\nb value=2\n")
      assert.equal(1, #found.refused)
      assert.equal(3, found.refused[1].index)
      assert.is_truthy(found.refused[1].reason:find(reason, 1, true), found.refused[1].reason)
      assert.same({ { name = "a", value = 1 }, { name = "b", value = 2 } }, found.metrics)
    end)
  end

  it("ends the reading where nobody listens to refusals", function()
    local found = read("a value=1\nm\nb value=2", { strict = true })
    assert.matches("^line 2: byte 2:", found.error)
    assert.equal("EFORMAT", found.code)
    assert.equal(1, #found.metrics)
  end)

  it("doesn't disturb the count of those behind it", function()
    local found = read("bad\n\nbad\nm a=1\nbad\n \nbad")
    assert.same({ 1, 3, 5, 7 }, { found.refused[1].index, found.refused[2].index, found.refused[3].index,
      found.refused[4].index })
  end)

  it("keeps count of lines across strings of several", function()
    assert.equal(4, read('m s="a\nb\nc"\nbad\n').refused[1].index)
  end)

  it("is one that is very long, or has very many tags or fields", function()
    local reasons = {}
    local long = ("x"):rep(40000)
    local tags = {}
    for i = 1, 257 do tags[i] = (",t%d=1"):format(i) end
    local found = read("a value=1\n" .. long .. " b=1\nm s=\"" .. ("x\n"):rep(20000) .. '"\nm' .. table.concat(tags)
      .. " b=1\nm " .. ("b=1,"):rep(1024) .. "b=1\nc value=2")
    for i, refused in ipairs(found.refused) do reasons[i] = refused.reason end
    assert.equal("longer than 32768 bytes", reasons[1])
    assert.equal("longer than 32768 bytes", reasons[2])
    assert.equal("more than 256 tags", reasons[#reasons - 1])
    assert.equal("more than 1024 fields", reasons[#reasons])
    assert.same({ "a", "c" }, { found.metrics[1].name, found.metrics[#found.metrics].name })
  end)
end)

describe("whatever the text", function()
  local sample = [[
cpu,host=web\ 07,cpu=cpu0 usage_idle=98.5,n=12i,u=3u,ok=t,s="a \"q\" \\ b" 1714557600000000000
# comment

disk,path=/var/log used=1e9,free=.5
m s="two
lines",b=F -1
]]

  it("a reading ends, raises nothing, gives valid metrics, and the same in slices", function()
    read(sample)
    formats.mutations(sample, 3000, read)
  end)
end)
