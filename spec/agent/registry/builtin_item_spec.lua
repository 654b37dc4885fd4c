local items = require("agent.registry.items")

local function normalise(item)
  item.name = item.name or "redis"
  return items.normalise(item)
end

describe("an item of a builtin function", function()
  it("is one record for GOPLUGIN, BUILTIN and LUA, with text for everything", function()
    for _, kind in ipairs({ "GOPLUGIN", "BUILTIN", "LUA" }) do
      assert.same({ type = "BUILTIN", name = "redis", run = "redis", interval = 30, params = '{"port":"6379"}' },
        normalise({ measurement_type = kind, interval = "30", params = ' {"port":"6379"} ' }))
    end
  end)

  it("may have an object of parameters, a function of another name, a timeout, and no interval", function()
    assert.same({ type = "BUILTIN", name = "PLUGIN.front", run = "http_check", params = { url = "http://x/" },
      timeout = 5 }, normalise({ measurement_type = "BUILTIN", name = "PLUGIN.front", builtin = "http_check",
      params = { url = "http://x/" }, timeout = "5", interval = "" }))
    assert.equal("redis", normalise({ measurement_type = "LUA", name = "PLUGIN.redis" }).run)
  end)

  it("is refused with a reason", function()
    local function reason(more)
      more.measurement_type = more.measurement_type or "BUILTIN"
      return select(2, normalise(more))
    end
    assert.equal('params: "port=1" is no JSON object', reason({ params = "port=1" }))
    assert.equal('interval: "soon" is not a whole number of seconds', reason({ interval = "soon" }))
    assert.equal('timeout: "0" is not 1 to 3600 seconds', reason({ timeout = "0" }))
    assert.equal("params: more than 64 KiB", reason({ params = "{" .. (" "):rep(70000) .. "}" }))
  end)

  it("of type LOG is the function logwatch", function()
    assert.same({ type = "BUILTIN", name = "kernel.log.OOM", run = "logwatch", interval = 10, params = {
      file_path = "/var/log/kern.log", pattern = "Out of memory", func = "cnt",
      tags = { process = "process (%d+)" } } },
      normalise({ measurement_type = "LOG", name = "kernel.log.OOM", interval = "10", file_path = "/var/log/kern.log",
        pattern = "Out of memory", func = "cnt", tags = "process,other", tag_process = "process (%d+)" }))
    assert.equal("pattern is missing", select(2, normalise({ measurement_type = "LOG", file_path = "/x" })))
    assert.equal('file_path: "x" is no absolute path',
      select(2, normalise({ measurement_type = "LOG", file_path = "x", pattern = "y" })))
  end)
end)
