local text = require("agent.console.text")

local UNKNOWN = "\239\191\189"

describe("text for a terminal", function()
  it("holds no control character, however it is written", function()
    assert.equal("a b" .. UNKNOWN .. "[31mc", text.clean("a\nb\27[31mc"))
    assert.equal(UNKNOWN .. "x", text.clean("\194\155x"), "a C1 control")
    assert.equal(UNKNOWN .. "x", text.clean("\155x"), "the same as a lone byte")
    assert.equal("a" .. UNKNOWN .. "b", text.clean("a\226\128\174b"), "the override of the direction")
    assert.equal(UNKNOWN .. UNKNOWN, text.clean("\0\127"))
    for byte = 0, 255 do
      local clean = text.clean(string.char(byte))
      assert.is_nil(clean:find("[%z\1-\31\127]"), byte)
      assert.is_true(byte < 128 and #clean == 1 or clean == UNKNOWN, byte)
    end
  end)

  it("stays as it is where it is good UTF-8", function()
    for _, good in ipairs({ "plain", "Grüße", "日本", "😀", "é" }) do assert.equal(good, text.clean(good)) end
  end)

  it("shows bytes that are no UTF-8 as unknown, one by one", function()
    for _, bad in ipairs({ "\192\128", "\237\160\128", "\244\144\128\128", "\226\130", "\240\159\152" }) do
      assert.is_nil(text.clean(bad):gsub(UNKNOWN, ""):find("."), bad)
    end
  end)

  it("keeps lines and tabs where they are wanted", function()
    assert.equal("a\tb\nc " .. UNKNOWN, text.clean("a\tb\nc\r\27", true))
  end)

  it("is cut and padded by the columns it takes", function()
    assert.equal(4, text.width("日本"))
    assert.equal(1, text.width("e\204\129"))
    assert.equal("日…", text.cut("日本語", 4))
    assert.equal("日本", text.cut("日本", 4))
    assert.equal("ab…", text.cut("abcd", 3))
    assert.equal("", text.cut("abcd", 0))
    assert.equal("ab  ", text.pad("ab", 4))
    assert.equal("  ab", text.pad("ab", 4, true))
    assert.equal("日  ", text.pad("日", 4))
  end)
end)

describe("JSON for a terminal", function()
  it("means the same, without control characters", function()
    local decode = require("agent.console.decode")
    local raw = '{"a":"\194\155\127 ü \226\128\174","b":1}'
    local clean = text.clean_json(raw)
    assert.equal('{"a":"\\u009b\\u007f ü \\u202e","b":1}', clean)
    assert.same(decode(raw), decode(clean))
    assert.equal('"\\ufffd"', text.clean_json('"\155"'))
  end)
end)

describe("a table", function()
  local columns = { { title = "NAME", flexible = true }, { title = "N", right = true },
    { title = "WHY", flexible = true } }

  it("has columns as wide as what is in them", function()
    assert.same({ "NAME   N  WHY", "a     10  x", "long   2" },
      text.columns(columns, { { "a", 10, "x" }, { "long", 2 } }))
  end)

  it("is never wider than asked for, wide and narrow characters alike", function()
    local rows = { { ("日本"):rep(20), 1, ("because "):rep(30) }, { "b\27[2J\n", 2, "\0" } }
    for width = 1, 120 do
      for _, line in ipairs(text.columns(columns, rows, width)) do
        assert.is_true(text.width(line) <= width, width)
        assert.is_nil(line:find("%c"))
      end
    end
  end)
end)

describe("quantities", function()
  it("are told as a person would", function()
    assert.same({ "-", "0 s", "0.3 s", "12 s", "2 min", "1 h 5 min", "3 d 4 h" },
      { text.duration(nil), text.duration(-1), text.duration(0.3), text.duration(12.9), text.duration(120),
        text.duration(3900), text.duration(3 * 86400 + 4 * 3600) })
    assert.same({ "0 B", "1023 B", "3.4 MiB", "-", "5000.0 GiB" }, { text.bytes(0), text.bytes(1023),
      text.bytes(3.4 * 2 ^ 20), text.bytes("x"), text.bytes(5000 * 2 ^ 30) })
    assert.same({ "0", "999", "1,234,567", "-12,345", "-" }, { text.count(0), text.count(999), text.count(1234567),
      text.count(-12345), text.count(0 / 0) })
    assert.same({ "0.42 ms", "17 ms", "1.3 s", "-" }, { text.milliseconds(0.42), text.milliseconds(17),
      text.milliseconds(1300), text.milliseconds(math.huge) })
  end)
end)
