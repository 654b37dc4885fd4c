local wanted_of = require("agent.builtin.wanted")

local function namespaces() return { "a.loda", "b.loda" } end

describe("agent.builtin.wanted", function()
  it("takes items of the registry, and of no other type", function()
    local wanted = wanted_of({
      { type = "BUILTIN", ns = "a.loda", name = "PLUGIN.redis", interval = 30, timeout = 5, params = { "-p" } },
      { type = "PLUGIN", ns = "a.loda", name = "PLUGIN.mysql" },
    }, nil, namespaces)
    assert.same({ ["BUILTIN a.loda PLUGIN.redis"] = { id = "BUILTIN a.loda PLUGIN.redis", ns = "a.loda",
      name = "PLUGIN.redis", fn = "redis", asked = 30, limit = 5, params = { "-p" } } }, wanted)
  end)

  it("takes those of the configuration for one namespace, some, or all", function()
    local wanted = wanted_of({}, { one = { ns = "a.loda" }, some = { ns = { "c.loda", "d.loda" } },
      all = { run = "test", interval = 20 } }, namespaces)
    local ids = {}
    for id in pairs(wanted) do ids[#ids + 1] = id end
    table.sort(ids)
    assert.same({ "BUILTIN a.loda all", "BUILTIN a.loda one", "BUILTIN b.loda all", "BUILTIN c.loda some",
      "BUILTIN d.loda some" }, ids)
    local all = wanted["BUILTIN b.loda all"]
    assert.same({ "test", 20 }, { all.fn, all.asked })
  end)

  it("prefers what the registry says of an item that both name", function()
    local wanted = wanted_of({ { type = "BUILTIN", ns = "a.loda", name = "redis", interval = 30 } },
      { redis = { ns = "a.loda", interval = 5 } }, namespaces)
    assert.equal(30, wanted["BUILTIN a.loda redis"].asked)
  end)
end)
