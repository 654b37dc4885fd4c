-- builtin/ping.lua: what it makes of answers, of silence, and of parameters.

local shipped = require("shipped")

describe("builtin ping", function()
  local ping = shipped.load("ping")

  -- replies: for each round, address = seconds.
  local function context(replies)
    local round = 0
    local ctx = shipped.ctx()
    function ctx.resolve(name)
      if name == "both" then return { "2001:db8::1", "192.0.2.1" } end
      if name == "nowhere" then return nil, "nowhere: EAI_NONAME", "resolve" end
      return { name }
    end
    function ctx.ping(addresses)
      round = round + 1
      local why = {}
      for _, address in ipairs(addresses) do
        if not (replies[round] or {})[address] then why[address] = address .. ": no answer within 1 s" end
      end
      return replies[round] or {}, why
    end
    function ctx.sleep(seconds) ctx.pass(seconds) end
    return ctx
  end

  local function run(ctx, given) return ping.run(shipped.params(ping, given), ctx) end

  it("gives loss and round trips", function()
    local list = assert(run(context({ { ["192.0.2.1"] = 0.001 }, {}, { ["192.0.2.1"] = 0.003 }, {} }),
      { hosts = "both", count = "4", family = 4 }))
    local tags = { host = "both", address = "192.0.2.1" }
    assert.same({ 50, 1, 1, 2, 3 }, { shipped.value(list, "loss", tags), shipped.value(list, "up", tags),
      shipped.value(list, "rtt.min", tags), shipped.value(list, "rtt.avg", tags),
      shipped.value(list, "rtt.max", tags) })
    shipped.compare("ping", list)
  end)

  it("tells once of a host that is silent, and of a name without an address", function()
    local ctx = context({})
    for _ = 1, 2 do
      local list = assert(run(ctx, { hosts = "192.0.2.1, nowhere" }))
      assert.equal(100, shipped.value(list, "loss", { host = "192.0.2.1" }))
      assert.equal(0, shipped.value(list, "up", { host = "nowhere" }))
      assert.is_nil(shipped.value(list, "rtt.avg"))
    end
    table.sort(ctx.records)
    assert.same({ "warning: 192.0.2.1: no answer within 1 s", "warning: nowhere: EAI_NONAME" }, ctx.records)
  end)

  it("says what is missing when the kernel lets it not", function()
    local ctx = context({})
    ctx.ping = function() return nil, "no right to send ICMP: EPERM", "EPERM" end
    assert.match("CAP_NET_RAW.*ping_group_range", select(2, run(ctx, { hosts = "192.0.2.1" })))
  end)

  it("refuses parameters that make no sense or don't fit into a run", function()
    local ctx = context({})
    assert.match("hosts is missing", select(2, run(ctx, {})))
    assert.match("no name and no address", select(2, run(ctx, { hosts = { "a b" } })))
    assert.match("no name and no address", select(2, run(ctx, { hosts = { 5 } })))
    assert.match("count: 0", select(2, run(ctx, { hosts = "a", count = 0 })))
    assert.match("family: 5", select(2, run(ctx, { hosts = "a", family = 5 })))
    assert.match("is 50 s, a run has 10.0 s", select(2, run(ctx, { hosts = "a", count = 50 })))
  end)
end)
