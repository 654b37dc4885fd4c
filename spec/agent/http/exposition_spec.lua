local exposition = require("agent.http.exposition")

local function page(samples, options)
  local p = exposition.new(options or { host = "here" })
  for _, one in ipairs(samples) do p:add(unpack(one, 1, 4)) end
  local parts = {}
  repeat
    local part = p:write(1)
    parts[#parts + 1] = part
  until not part
  return table.concat(parts)
end

describe("the exposition", function()
  it("has help and type once for each family, families and labels in order", function()
    assert.equal([[
# HELP a Measurement a of the agent.
# TYPE a gauge
a 1
# HELP disk_io_await Measurement disk.io.await of the agent.
# TYPE disk_io_await gauge
disk_io_await{device="sda"} 0.5
disk_io_await{device="sdb",ns="web.loda"} 2
]], page({ { "disk.io.await", 2, { host = "here", device = "sdb" }, "web.loda" }, { "a", 1, {} },
      { "disk.io.await", 0.5, { device = "sda", host = "here" } } }))
  end)

  it("makes names and labels that Prometheus takes, and escapes values", function()
    assert.matches('\n_9_x_{_9="1",a_b="q\\"\\\\\\n",host="other",tag__x="2",tag_le="3"} 1\n',
      page({ { "9.x-", 1, { ["a-b"] = 'q"\\\n', ["9"] = "1", __x = "2", le = "3", host = "other" } } }))
  end)

  it("says which only grow, counts in seconds, and doesn't claim what only a name says", function()
    local text = page({ { "agent.dropped", 7, { reason = "full" } }, { "agent.loop.stall_ms", 12.5, {} },
      { "mem.total", 1, {} }, { "x.count", 1, {} } })
    assert.matches('# TYPE agent_dropped_total counter\nagent_dropped_total{reason="full"} 7\n', text)
    assert.matches("# TYPE agent_loop_stall_seconds gauge\nagent_loop_stall_seconds 0.0125\n", text)
    assert.matches("# TYPE mem_total untyped\n", text)
    assert.matches("# TYPE x_count untyped\n", text)
  end)

  it("leaves out what is no number, and takes the last of two of a series", function()
    local text = page({ { "a", "text", {} }, { "b", "1.50", {} }, { "c", true, {} }, { "d", false, {} },
      { "e", 1, {} }, { "e", 2 ^ 53, {} } })
    assert.is_nil(text:find("\na "))
    assert.matches("\nb 1.5\n.*\nc 1\n.*\nd 0\n.*\ne 9007199254740992\n$", text)
    assert.is_nil(text:find("\ne 1\n"))
  end)

  it("speaks OpenMetrics", function()
    assert.equal("# HELP agent_errors Measurement agent.errors of the agent.\n# TYPE agent_errors counter\n"
      .. "agent_errors_total 3\n# HELP mem_total Measurement mem.total of the agent.\n# TYPE mem_total unknown\n"
      .. "mem_total 1\n# EOF\n", page({ { "mem.total", 1, {} }, { "agent.errors", 3, {} } }, { open = true }))
    assert.equal("# EOF\n", page({}, { open = true }))
  end)
end)
