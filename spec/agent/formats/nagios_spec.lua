-- Output of Nagios plugins, by the Monitoring Plugins Development Guidelines.

local formats = require("formats")
local nagios = require("agent.formats.nagios")

local function read(text, code, options)
  options = options or {}
  options.code = code or 0
  return formats.check(nagios.reader, text, options)
end

-- Without the state, which comes first.
local function items(text)
  local found = read(text)
  assert.same({}, found.refused)
  return { unpack(found.metrics, 2) }
end

describe("the state", function()
  it("is the exit status", function()
    for code = 0, 3 do assert.same({ { name = "state", value = code } }, read("whatever", code).metrics) end
  end)

  it("is not there for any other exit status", function()
    assert.same({}, read("whatever", 127).metrics)
    assert.same({}, read("whatever", -1).metrics)
  end)
end)

describe("performance data", function()
  it("is a metric for each label; its thresholds are not", function()
    assert.same({ { name = "load1", value = 0.75 }, { name = "load5", value = 0.31 },
      { name = "load15", value = 0.33 } },
      items("LOAD OK - total load average: 0.75, 0.31, 0.33|load1=0.750;15.000;30.000;0; "
        .. "load5=0.310;10.000;25.000;0; load15=0.330;5.000;20.000;0; "))
  end)

  it("stands behind the bar of the first line, and from the next bar on in all others", function()
    assert.same({ { name = "a", value = 1 }, { name = "b", value = 2 }, { name = "c", value = 3 }, { name = "d",
      value = 4 }, { name = "e", value = 5 } },
      items("DISK OK | a=1 b=2\nlong text, x=9\nmore of it | c=3\nd=4;;;0\ne=5\n"))
    assert.same({ { name = "c", value = 3 }, { name = "d", value = 4 } }, items("DISK OK\nlong text | c=3\nd=4"))
    assert.same({}, items("DISK OK\nlong text\n"))
  end)

  it("may have labels in quotation marks, with blanks and doubled ones inside", function()
    assert.same({ { name = "C___Used_Space", value = 12, tags = { label = [[C:\ Used Space]], unit = "GB" } },
      { name = "it_s", value = 1, tags = { label = "it's" } }, { name = "plain", value = 2 } },
      items([[OK | 'C:\ Used Space'=12GB;80;90;0;100 'it''s'=1 'plain'=2]]))
  end)

  it("that is a path keeps it as a tag", function()
    assert.same({ { name = "_", value = 15743320064, tags = { label = "/", unit = "B" } },
      { name = "_var_log", value = 5, tags = { label = "/var/log", unit = "MB" } } },
      items("DISK OK - free space: / 78248MiB (83% inode=96%);| /=15743320064B;257024904396;265141480325;0;1 "
        .. "/var/log=5MB"))
  end)

  it("has times in seconds, and all else in the unit that its tag says", function()
    local values = {}
    for i, metric in ipairs(items("OK | a=1.5s b=250ms c=20us d=3ns e=7% f=8c g=9KB h=10 i=11B j=12bits/m")) do
      values[i] = ("%s %.12g %s"):format(metric.name, metric.value, metric.tags and metric.tags.unit or "-")
    end
    assert.same({ "a 1.5 s", "b 0.25 s", "c 2e-05 s", "d 3e-09 s", "e 7 %", "f 8 c", "g 9 KB", "h 10 -", "i 11 B",
      "j 12 bits/m" }, values)
  end)

  it("has ranges, missing limits and signs", function()
    assert.same({ { name = "a", value = -1.5 }, { name = "b", value = 2 }, { name = "c", value = 0.5 } },
      items("OK | a=-1.5;@10:20;~:30;; b=+2;;1:1;0; c=.5"))
  end)

  it("begins with the prefix that was asked for", function()
    assert.same({ { name = "x.state", value = 0 }, { name = "x.a", value = 1 } },
      read("OK | a=1", 0, { prefix = "x." }).metrics)
  end)
end)

describe("a bad item", function()
  local bad = { ["a"] = "not label=value", ["a="] = "not label=value", ["a=x"] = "not label=value",
    ["a=1,5"] = nil, ["=1"] = "not label=value", ["''=1"] = "not label=value", ["' '=1"] = "without a label",
    ["'a=1"] = "not label=value", ["a=U"] = "value is unknown", ["a=1e999"] = "value is out of range",
    ["a=1;2;3;4;5=6"] = nil, ["a=NaN"] = "not label=value" }
  for text, reason in pairs(bad) do
    it("is refused with its number and reason, the others are kept: " .. text, function()
      local found = read("OK | x=1 " .. text .. " y=2")
      assert.equal(1, #found.refused)
      assert.equal(2, found.refused[1].index)
      assert.equal(reason, found.refused[1].reason)
      assert.same({ "state", "x", "y" }, { found.metrics[1].name, found.metrics[2].name, found.metrics[3].name })
    end)
  end

  it("never ends the reading", function()
    local found = read("OK | a b=1 c", 0, { strict = true })
    assert.is_nil(found.error)
    assert.equal(2, #found.metrics)
  end)
end)

describe("whatever the text", function()
  local sample = "DISK OK - / 78248 MiB | /=15743320064B;1;2;0;3 'C:\\ x''y'=12%;@1:2;~:3 rta=0.05ms;; pl=U\n"
    .. "long text\nlast of it | a=1\nb=2s;1;2\n"

  it("a reading ends, raises nothing, gives valid metrics, and the same in slices", function()
    read(sample)
    formats.mutations(sample, 3000, read)
  end)
end)
