local items = require("agent.config.items")

local function keys(data, lines)
  local found = {}
  for i, problem in ipairs(items.check(data, lines)) do found[i] = problem.key end
  return found
end

describe("a registry file's check", function()
  it("finds nothing wrong with items in the registry's shape", function()
    assert.same({}, keys({ ["web.shop.loda"] = {
      { measurement_type = "PORT", name = "PORT.sshd.22", port = "22", interval = "60" },
      { measurement_type = "CPU", interval = 10 },
    }, ["empty.loda"] = {} }))
  end)

  it("names each item that is wrong", function()
    assert.same({ '["a.loda"][1]', '["a.loda"][2]', '["a.loda"][3].interval', '["a.loda"][3].name', '["b.loda"]',
      '["c d"]', '["e.loda"].x' }, keys({
      ["a.loda"] = { {}, "x", { measurement_type = "CPU", interval = "often", name = 1 } },
      ["b.loda"] = "x",
      ["c d"] = {},
      ["e.loda"] = { x = {} },
    }))
  end)

  it("lists problems in the order of their lines", function()
    assert.same({ '["z.loda"]', '["a.loda"]' },
      keys({ ["a.loda"] = 1, ["z.loda"] = 1 }, { ['["a.loda"]'] = 9, ['["z.loda"]'] = 2 }))
  end)
end)
