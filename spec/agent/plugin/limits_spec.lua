local limits = require("agent.plugin.limits")

local conf = { cpuseconds = 1, addressspace = 2, processes = 3, openfiles = 4, filesize = 5, memory = 7, cpu = 0 }

describe("agent.plugin.limits", function()
  it("takes those of the configuration, and the item's own before them", function()
    assert.same({ cpu_s = 1, address_space = 2, processes = 3, open_files = 4, file_size = 5, core = 0, memory = 7 },
      limits.of(conf))
    local own = limits.of(conf, { cpu_s = 11, address_space = 12, processes = 13, open_files = 14, file_size = 15,
      memory = 17, cpu = 0.5 })
    assert.same({ cpu_s = 11, address_space = 12, processes = 13, open_files = 14, file_size = 15, core = 0,
      memory = 17, cpu = 0.5 }, own)
  end)

  it("names what no controller holds, and why", function()
    assert.is_nil(limits.not_held(conf, { directory = "/cg", memory = true, cpu = false }))
    assert.same({ "plugins.memory", "no cgroup2 is mounted" },
      { limits.not_held(conf, { why = "no cgroup2 is mounted", memory = false, cpu = false }) })
    assert.same({ "plugins.memory, plugins.cpu", "the controllers are not handed down to /cg" },
      { limits.not_held({ cpu = 2 }, { directory = "/cg", memory = false, cpu = false }) })
  end)
end)
