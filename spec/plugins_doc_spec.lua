-- The examples of docs/plugins.md, "What a plugin prints", do what it says.

local output = require("agent.plugin.output")

-- { code, text, wanted } of each block with an exit status and the block of metrics behind it.
local function examples()
  local file = assert(io.open("docs/plugins.md"))
  local text, found = file:read("*a"), {}
  file:close()
  for code, printed, wanted in text:gmatch("```%l+ exit=(%d+)\n(.-)```\n\n```metrics\n(.-)```") do
    found[#found + 1] = { code = tonumber(code), text = printed, wanted = wanted }
  end
  return found
end

-- As the document writes a metric: name value key=tag… @time.
local function line_of(metric)
  local keys, parts = {}, { metric.name, tostring(metric.value) }
  for key in pairs(metric.tags or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = key .. "=" .. metric.tags[key] end
  if metric.timestamp then parts[#parts + 1] = ("@%d"):format(metric.timestamp) end
  return table.concat(parts, " ") .. "\n"
end

describe("docs/plugins.md", function()
  local formats = {}

  for i, example in ipairs(examples()) do
    it(("is true about its example %d"):format(i), function()
      local got
      local options = { code = example.code, later = function(fn) fn() end }
      output.read(example.text, options, function(err, metrics, _, format)
        assert.is_nil(err)
        got, formats[i] = "", format
        for _, metric in ipairs(metrics) do got = got .. line_of(metric) end
      end)
      assert.equal(example.wanted, got)
    end)
  end

  it("has an example of each format", function()
    assert.same({ "json", "line", "prometheus", "nagios" }, formats)
  end)

  it("names the limits that there are", function()
    local file = assert(io.open("docs/plugins.md"))
    local text = file:read("*a")
    file:close()
    local lines = require("agent.formats.lines")
    assert.is_truthy(text:find(("at most %d KiB, %d tags and %d fields"):format(lines.LINE_MAX / 1024, lines.TAGS_MAX,
      lines.FIELDS_MAX), 1, true))
    local most = ("at most %d,%03d entries"):format(output.MAX_ENTRIES / 1000, output.MAX_ENTRIES % 1000)
    assert.is_truthy(text:find(most, 1, true))
  end)
end)
