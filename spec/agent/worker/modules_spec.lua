local modules = require("agent.worker.modules")

describe("the modules of workers", function()
  it("are looked for beside the executable and where make install puts them", function()
    assert.equal("/src/build/lib/agent/?.so;/src/lib/agent/?.so", modules.patterns("/src/build/agent"))
    assert.equal("/usr/bin/lib/agent/?.so;/usr/lib/agent/?.so", modules.patterns("/usr/bin/agent"))
  end)

  it("are found after the executable was replaced", function()
    assert.equal(modules.patterns("/usr/bin/agent"), modules.patterns("/usr/bin/agent (deleted)"))
  end)
end)
