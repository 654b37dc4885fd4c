-- `agent builtin`: what an author of a function uses.

local builtin = require("builtin")
local program = require("program")

describe("agent builtin", function()
  local folder
  before_each(function() folder = builtin.folder() end)
  after_each(function() program.remove(folder) end)

  local function agent(...)
    local child = program.agent({ ... })
    child.wait(30)
    return child
  end

  it("writes a function that runs, and a spec that is good", function()
    local dir = folder .. "/builtin"
    local child = agent("builtin", "new", "mine", "--dir", dir)
    assert.equal(0, child.code)
    child = agent("builtin", "run", "mine", "--dir", dir, "--params", '{"port": 1}')
    assert.equal(0, child.code, child.output)
    assert.match("PLUGIN.mine.up +0", child.stdout)
    child = agent("lua", dir .. "/mine_spec.lua")
    assert.equal(0, child.code, child.output)
    assert.match("mine: good", child.stdout)
    child = agent("builtin", "new", "mine", "--dir", dir)
    assert.equal(1, child.code)
    assert.match("EEXIST", child.output)
  end)

  it("lists what there is, what hides what, and what is broken where", function()
    builtin.write(folder, "test", "return {}")
    program.write(folder .. "/builtin/wrong.lua", "return {\n  run = 5,\n}\n}")
    local child = agent("builtin", "list", "--dir", folder .. "/builtin")
    assert.equal(1, child.code)
    assert.match("\ntest ", "\n" .. child.stdout)
    assert.match("builtin/test.lua, hides .*/builtin/test.lua", child.stdout)
    assert.match("wrong.lua\n +broken: line 4: ", child.stdout)
  end)

  it("says what went wrong with a run, and its exit code", function()
    builtin.write(folder, "bad", 'return nil, "no luck"')
    local child = agent("builtin", "run", "bad", "--dir", folder .. "/builtin")
    assert.equal(1, child.code)
    assert.match("agent builtin: no luck\n", child.output)
    assert.equal(64, agent("builtin").code)
    assert.equal(64, agent("builtin", "run").code)
    assert.equal(64, agent("builtin", "new", "../x").code)
    assert.match("there is no builtin function nothing", agent("builtin", "run", "nothing").output)
  end)

  it("runs in the namespace asked for, and as often", function()
    builtin.write(folder, "ns", 'ctx.state.n = (ctx.state.n or 0) + 1 return { ns = ctx.ns .. ctx.state.n }')
    local child = agent("builtin", "run", "ns", "--dir", folder .. "/builtin", "--ns", "web.loda", "--times", "2")
    assert.match("PLUGIN.ns.ns +web.loda1\nPLUGIN.ns.ns +web.loda2\n", child.stdout)
  end)
end)
