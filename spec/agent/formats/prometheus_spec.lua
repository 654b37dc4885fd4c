-- Prometheus' text format 0.0.4 and OpenMetrics 1.0.

local formats = require("formats")
local prometheus = require("agent.formats.prometheus")

local function read(text, options)
  return formats.check(prometheus.reader, text, options)
end

local function metrics(text)
  local found = read(text)
  assert.same({}, found.refused)
  return found.metrics
end

describe("a sample", function()
  it("is a metric, its labels are tags, its type is nobody's business", function()
    assert.same({
      { name = "http_requests_total", value = 1027, tags = { method = "post", code = "200" }, timestamp = 1395066363 },
      { name = "http_requests_total", value = 3, tags = { method = "post", code = "400" } },
      { name = "up", value = 1 },
    }, metrics([[
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3
# just a comment
# TYPE up untyped

up 1
]]))
  end)

  it("may be written with blanks, tabs, a last comma, and without labels between the braces", function()
    assert.same({ { name = "a", value = 1, tags = { x = "1", y = "2" } }, { name = "b", value = 2 },
      { name = "c", value = 3, tags = { z = "3" } } },
      metrics('  a { x = "1" , y="2", } \t 1\r\nb{} 2\nc{z="3"}3'))
  end)

  it("has escapes in its labels", function()
    assert.same({ path = [[C:\DIR\FILE.TXT]], error = 'Cannot find file:\n"FILE.TXT"', odd = [[\d]] },
      metrics([[m{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\"",odd="\d"} 1]])[1].tags)
  end)

  it("has a colon in its name replaced by an underscore", function()
    assert.same({ { name = "job_requests_rate5m", value = 0.5 } }, metrics("job:requests:rate5m 0.5"))
  end)

  it("may have a quoted name of any characters, as Prometheus 3 writes it", function()
    assert.same({ { name = "http.status_code", value = 1, tags = { ["a.b"] = "c" } }, { name = "x_y", value = 2 } },
      metrics('{"http.status:code","a.b"="c"} 1\n{"x y"} 2'))
  end)

  it("has a number in one of its spellings", function()
    for text, number in pairs({ ["1"] = 1, ["-1.5"] = -1.5, ["+2"] = 2, ["1.458255915e9"] = 1458255915,
      ["1E-3"] = 0.001, [".5"] = 0.5, ["5."] = 5 }) do
      assert.equal(number, metrics("m " .. text)[1].value, text)
    end
  end)

  it("has its time in milliseconds, of OpenMetrics in seconds", function()
    assert.equal(1520879607, metrics("m 1 1520879607789")[1].timestamp)
    assert.equal(1520879607, metrics("# TYPE m gauge\nm 1 1520879607.789\n# EOF\n")[1].timestamp)
  end)
end)

describe("histograms and summaries", function()
  it("are the samples that they are written as", function()
    assert.same({
      { name = "rpc_bucket", value = 24054, tags = { le = "0.05" } },
      { name = "rpc_bucket", value = 144320, tags = { le = "+Inf" } },
      { name = "rpc_sum", value = 53423 }, { name = "rpc_count", value = 144320 },
      { name = "wait_seconds", value = 4773, tags = { quantile = "0.5" } },
    }, metrics([[
# TYPE rpc histogram
rpc_bucket{le="0.05"} 24054
rpc_bucket{le="+Inf"} 144320
rpc_sum 53423
rpc_count 144320
# TYPE wait_seconds summary
wait_seconds{quantile="0.5"} 4773
]]))
  end)
end)

describe("OpenMetrics", function()
  it("has units, exemplars and an end", function()
    assert.same({ { name = "foo_seconds_total", value = 17, timestamp = 1520879607 },
      { name = "foo_seconds_bucket", value = 8, tags = { le = "0.1" } } }, metrics([[
# TYPE foo_seconds counter
# UNIT foo_seconds seconds
# HELP foo_seconds How long.
foo_seconds_total 17.0 1520879607.789
foo_seconds_bucket{le="0.1"} 8 # {trace_id="KOO5S4vxi0o"} 0.054
# EOF
]]))
  end)

  it("has nothing behind its end", function()
    local found = read("a 1\n# EOF\nb 2\n")
    assert.same({ { index = 3, reason = "text behind # EOF" } }, found.refused)
    assert.same({ { name = "a", value = 1 } }, found.metrics)
  end)
end)

describe("a value that is not finite", function()
  local text = 'a 1\nq{quantile="0.5"} NaN\nb +Inf\nc -Inf\nd 1e999\ne nan\nf 2\n'

  it("is passed over and told with its reason", function()
    local found = read(text)
    assert.same({ { index = 2, name = "q", reason = "value is NaN" },
      { index = 3, name = "b", reason = "value is Inf" },
      { index = 4, name = "c", reason = "value is Inf" }, { index = 5, name = "d", reason = "value is out of range" },
      { index = 6, name = "e", reason = "value is NaN" } }, found.refused)
    assert.same({ { name = "a", value = 1 }, { name = "f", value = 2 } }, found.metrics)
  end)

  it("is no error where nobody listens, but counted", function()
    local reader, list = prometheus.reader(text), {}
    assert.is_false(reader:read(list, 100))
    assert.equal(2, #list)
    assert.equal(5, reader.dropped)
  end)
end)

describe("labels", function()
  it("named host and name are tags like others; those that InfluxDB has reserved get an underscore", function()
    assert.same({ host = "db1", name = "x", value = "v", time_ = "t" },
      metrics('m{host="db1",name="x",value="v",time="t"} 1')[1].tags)
  end)

  it("that are empty are as if they weren't there", function()
    assert.same({ { name = "m", value = 1, tags = { b = "1" } }, { name = "n", value = 2 } },
      metrics('m{a="",b="1"} 1\nn{a=" "} 2'))
  end)
end)

describe("a bad line", function()
  local bad = {
    ["1m 1"] = "a metric's name was expected", ["m"] = "no blank behind the name", ["m{ 1"] = "bad labels",
    ['m{a="1} 1'] = "bad labels", ['m{a=1} 1'] = "bad labels", ['m{a="1" b="2"} 1'] = "bad labels",
    ['m{1a="1"} 1'] = "bad labels", ["m 1x"] = "the value is no number", ["m x"] = "the value is no number",
    ["m 0x10"] = "the value is no number",
    ["m 1 x"] = "a time stamp or the end", ["m 1 2 3"] = "a time stamp or the end",
    ['m{a="1",a="2"} 1'] = "tag a is there twice", ["m 1 NaN"] = "a time stamp or the end",
    ['{"",a="1"} 1'] = "without a name",
    ['m{a="1",,} 1'] = "bad labels", ["m\0 1"] = "no blank behind the name",
  }
  for text, reason in pairs(bad) do
    it("is refused with its number and reason, the others are kept: " .. text:gsub("%z", "NUL"), function()
      local found = read("a 1\n\n" .. text .. "\nb 2\n")
      assert.equal(1, #found.refused)
      assert.equal(3, found.refused[1].index)
      assert.is_truthy(found.refused[1].reason:find(reason, 1, true), found.refused[1].reason)
      assert.same({ { name = "a", value = 1 }, { name = "b", value = 2 } }, found.metrics)
    end)
  end

  it("ends the reading where nobody listens to refusals", function()
    local found = read("a 1\nb\nc 2", { strict = true })
    assert.matches("^line 2: bad labels", found.error)
    assert.equal("EFORMAT", found.code)
  end)
end)

describe("what node_exporter itself writes", function()
  it("is read to the last sample", function()
    local text = assert(io.open("tests/fixtures/formats/node_exporter.prom")):read("*a")
    local found, samples = read(text), 0
    for line in text:gmatch("[^\n]+") do
      if not line:find("^#") then samples = samples + 1 end
    end
    assert.is_true(samples > 100)
    assert.equal(samples, #found.metrics + #found.refused)
    for _, refused in ipairs(found.refused) do assert.matches("^value is ", refused.reason) end
  end)
end)

describe("whatever the text", function()
  local sample = [[
# HELP a "help" \\ text
# TYPE a histogram
a_bucket{le="+Inf",path="C:\\x \"y\"\n"} 12 1520879607789 # {trace_id="x"} 1
a:sum 1e3
{"quoted.name",k="v",} -0.5
q{quantile="0.99"} NaN
# EOF
]]

  it("a reading ends, raises nothing, gives valid metrics, and the same in slices", function()
    read(sample)
    formats.mutations(sample, 3000, read)
  end)
end)
