local reload = require("agent.cli.reload")

local function conf()
  return { agent = { listen = "127.0.0.1:1", intervals = { CPU = 10 }, mininterval = 10 }, log = { loglevel = "INFO" },
    http = {} }
end

describe("a reload", function()
  it("finds nothing changed in an equal configuration", function()
    assert.same({}, reload.changed(conf(), conf()))
  end)

  it("takes over what can be, and names what needs a restart", function()
    local now, new = conf(), conf()
    new.agent.listen = "127.0.0.1:2"
    new.agent.intervals = { CPU = 10, MEM = 60 }
    new.log.loglevel = "DEBUG"
    new.http.connections = 7
    local applied, waiting = reload.apply(now, new)
    assert.same({ "agent.intervals", "log.loglevel" }, applied)
    assert.same({ "agent.listen", "http.connections" }, waiting)
    assert.equal("DEBUG", now.log.loglevel)
    assert.equal("127.0.0.1:1", now.agent.listen)
    assert.equal(60, now.agent.intervals.MEM)
  end)

  it("notices a key that is gone", function()
    local old = conf()
    old.agent.intervals = { CPU = 10, MEM = 60 }
    assert.same({ "agent.intervals" }, reload.changed(old, conf()))
  end)
end)
