local encode = require("agent.publish.points").encode
local points = require("agent.http.points")

-- What is read back of metrics that were encoded.
local function back(metrics)
  local found = {}
  for _, body in ipairs(encode(metrics, "here", 1714557600, 400)) do
    for text, name in points.each(body) do
      local parsed, value, tags, timestamp = points.parse(text)
      found[#found + 1] = { name = parsed, value = value, tags = tags, timestamp = timestamp, raw = name }
    end
  end
  return found
end

describe("the points of published messages", function()
  it("are read back as they were, whatever is in them", function()
    local nasty = 's"}},{"measurement":"x","timestamp":1,"tags":{},"fields":{"value":1}},\\ \n é'
    local values = { 1, -0.25, 2 ^ 53, true, false, "text", "", nasty }
    local metrics = {}
    for i, value in ipairs(values) do
      metrics[#metrics + 1] = { name = "m" .. i, value = value, tags = { a = "b", ["c d"] = nasty:gsub("%s", "") } }
    end
    metrics[#metrics + 1] = { name = nasty, value = 1, timestamp = 1714557601 }
    local found = back(metrics)
    assert.equal(#metrics, #found)
    for i, value in ipairs(values) do
      assert.equal("m" .. i, found[i].raw)
      assert.same({ name = "m" .. i, value = value, timestamp = 1714557600, raw = "m" .. i,
        tags = { host = "here", a = "b", ["c d"] = (nasty:gsub("%s", "")) } }, found[i])
    end
    assert.equal(nasty, found[#found].name)
    assert.equal(1714557601, found[#found].timestamp)
  end)

  it("are none in an empty body", function()
    assert.same({}, back({}))
    assert.is_nil(points.parse("{}"))
  end)
end)
