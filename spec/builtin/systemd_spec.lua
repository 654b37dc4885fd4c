-- builtin/systemd.lua: what it makes of the output of systemctl. The recorded output is of systemd 252 (Debian 12).

local shipped = require("shipped")

local MANAGER = "Version=252.38-1~deb12u1\nNFailedUnits=1\nNNames=210\nNJobs=0\nSystemState=degraded\n"
local UNITS = [[
ExecMainStatus=0
NRestarts=2
MemoryCurrent=1048576
CPUUsageNSec=%d
TasksCurrent=3
Id=demo.service
LoadState=loaded
ActiveState=active
SubState=running
ActiveEnterTimestampMonotonic=940000000

NRestarts=0
MemoryCurrent=[not set]
CPUUsageNSec=18446744073709551615
TasksCurrent=[not set]
Id=nope.service
LoadState=not-found
ActiveState=inactive
SubState=dead
ActiveEnterTimestampMonotonic=0
]]

describe("builtin systemd", function()
  local systemd = shipped.load("systemd")

  local function context(answer)
    local ctx = shipped.ctx()
    function ctx.exec(argv)
      ctx.argv = argv
      local text = argv[5] and answer or MANAGER
      return { code = 0, signal = 0, timed_out = false, truncated = false, stdout = text, stderr = "" }
    end
    return ctx
  end

  local function run(ctx, units) return systemd.run(shipped.params(systemd, { units = units }), ctx) end

  it("gives the state of each unit, and of the manager", function()
    local ctx = context(UNITS:format(1e9))
    local first = assert(run(ctx, "demo.service, nope.service"))
    assert.same({ "--", "demo.service", "nope.service" }, { unpack(ctx.argv, 5) })
    ctx.pass(10)
    ctx = setmetatable({ exec = context(UNITS:format(6e9)).exec }, { __index = ctx })
    local list = assert(run(ctx, "demo.service, nope.service"))
    local demo, nope = { unit = "demo.service" }, { unit = "nope.service" }
    assert.same({ 1, 0, 1, "active/running", 2, 1048576, 3, 70, 50 }, { shipped.value(list, "active", demo),
      shipped.value(list, "failed", demo), shipped.value(list, "loaded", demo), shipped.value(list, "state", demo),
      shipped.value(list, "restarts", demo), shipped.value(list, "memory", demo), shipped.value(list, "tasks", demo),
      shipped.value(list, "uptime", demo), shipped.value(list, "cpu", demo) })
    assert.same({ 0, 0 }, { shipped.value(list, "active", nope), shipped.value(list, "loaded", nope) })
    assert.is_nil(shipped.value(list, "cpu", nope))
    assert.is_nil(shipped.value(list, "memory", nope))
    assert.equal(1, shipped.value(list, "units.failed"))
    assert.equal(0, shipped.value(list, "system.running"))
    shipped.compare("systemd", first, list)
  end)

  it("asks of no unit that looks like an option or a path", function()
    for _, unit in ipairs({ "--root=/x", "-x", "a b", "../x", "a\nb", "" }) do
      assert.match("is no unit", select(2, run(context(""), { unit })))
    end
  end)

  it("says why systemctl failed", function()
    local ctx = context("")
    ctx.exec = function() return { code = 1, signal = 0, stdout = "", stderr = "Failed to connect to bus\nmore" } end
    assert.equal("systemctl: Failed to connect to bus", select(2, run(ctx)))
    ctx.exec = function() return { code = -1, signal = 9, timed_out = true, stdout = "", stderr = "" } end
    assert.match("does not come to an end", select(2, run(ctx)))
    ctx.exec = function() return nil, "/bin/systemctl: execve: ENOENT", "ENOENT" end
    assert.match("ENOENT", select(2, run(ctx)))
  end)

  it("reads nothing out of nonsense", function()
    for _, text in ipairs({ "", "\n\n\n", "=\n", "Id=x", "\0\255", ("x"):rep(10000), "ActiveState=active\n" }) do
      local list = assert(run(context(text), "x.service"))
      for _, metric in ipairs(shipped.list(list)) do assert.is_nil(metric.tags) end
    end
    assert.same({ { Id = "a", X = "1=2" }, { Id = "b" } }, systemd.parse("Id=a\nX=1=2\n\n\nId=b"))
  end)
end)
