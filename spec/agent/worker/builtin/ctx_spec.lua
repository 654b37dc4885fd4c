-- The functions of ctx against their declaration, which authors and their editors read.

describe("ctx", function()
  it("has the functions that lua/agent/_meta/ctx.lua declares, and no others", function()
    local f = assert(io.open("lua/agent/_meta/ctx.lua"))
    local text = f:read("*a")
    f:close()
    local declared, real = {}, {}
    for name in text:gmatch("\nfunction ctx%.([%w_]+)%(") do declared[name] = true end
    for name in pairs(require("agent.worker.builtin.ctx").functions) do real[name] = true end
    assert.same(declared, real)
  end)
end)
