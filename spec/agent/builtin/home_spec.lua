local home = require("agent.builtin.home")

describe("the directories of builtin functions", function()
  it("are found beside the executable, installed or in its source tree", function()
    assert.same({ "/usr/share/agent/builtin" }, home.candidates("/usr/bin/agent"))
    assert.same({ "/src/agent/share/agent/builtin", "/src/agent/builtin" },
      home.candidates("/src/agent/build/agent"))
    assert.equal("/src/agent/builtin", home.candidates("/src/agent/build/address/agent (deleted)")[2])
  end)

  it("are those of the configuration, each once, the host's own last", function()
    assert.same({ "/a", "/b" }, home.directories({ builtin = { dir = "/a" }, agent = { builtindir = "/b" } }))
    assert.same({ "/a" }, home.directories({ builtin = { dir = "/a" }, agent = { builtindir = "/a" } }))
  end)
end)
