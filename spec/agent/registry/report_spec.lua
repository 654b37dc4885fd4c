local cjson = require("cjson")
local report = require("agent.registry.report")

local BUILD = { version = "1.2.3", commit = "abc", branch = "main", buildtime = "2024-05-01_10:00:00" }

local function who(more)
  local w = { hostname = "web07", old_hostname = "web07", sn = "7CX1234\n", ips = {}, changed = false }
  for key, value in pairs(more or {}) do w[key] = value end
  return w
end

describe("the report", function()
  it("has every key, with null for what was never known and [] for what is none", function()
    assert.equal('{"uuid":null,"sn":"7CX1234\\n","newiplist":[],"oldiplist":null,"ns":null,"version":"1.2.3",'
      .. '"commit":"abc","branch":"main","buildtime":"2024-05-01_10:00:00","goversion":"' .. jit.version .. '",'
      .. '"newhostname":"web07","oldhostname":"web07","agenttype":"loda-agent","update":false,"utime":"now"}',
      report.body(who(), {}, BUILD, "now"))
  end)

  it("lists the ids in the order of their namespaces", function()
    local body = cjson.decode(report.body(who({ old_ips = { "" }, ips = { "10.1.2.3" }, changed = true }),
      { namespaces = { "a.loda", "b.loda" }, ids = { ["b.loda"] = "2", ["a.loda"] = "1" } }, BUILD, "now"))
    assert.same({ { "1", "2" }, { "a.loda", "b.loda" }, { "" }, { "10.1.2.3" }, true },
      { body.uuid, body.ns, body.oldiplist, body.newiplist, body.update })
  end)

  it("has no ids where only the namespaces are known", function()
    local body = report.body(who(), { namespaces = {} }, BUILD, "now")
    assert.matches('"uuid":null', body, 1, true)
    assert.matches('"ns":[]', body, 1, true)
  end)

  it("says when in RFC 3339", function()
    local text = report.time(1714528800, 42)
    assert.matches("^2024%-0[45]%-%d%dT%d%d:%d%d:00%.000042[+-]%d%d:%d%d$", text)
  end)
end)
