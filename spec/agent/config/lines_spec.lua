local lines_of = require("agent.config.lines")

describe("the lines of a file's keys", function()
  it("follows nested tables, quoted keys and list items", function()
    local lines = lines_of([==[
-- return { agent = 1 }
local x = { agent = { listen = 9 } }
return {
  agent = { listen = "a, b = {",
            ["socket"] = [[
long } text]],
  },
  ["web.shop.loda"] = {
    { name = "x" },
    { name = "y", port = "1" };
  },
  output = { servers = { "a",
    "b" } },
}
]==])
    assert.same({ agent = 4, ["agent.listen"] = 4, ["agent.socket"] = 5, ['["web.shop.loda"]'] = 8,
      ['["web.shop.loda"][1]'] = 9, ['["web.shop.loda"][1].name'] = 9, ['["web.shop.loda"][2]'] = 10,
      ['["web.shop.loda"][2].name'] = 10, ['["web.shop.loda"][2].port'] = 10, output = 12,
      ["output.servers"] = 12, ["output.servers[1]"] = 12, ["output.servers[2]"] = 13 }, lines)
  end)

  it("isn't led astray by expressions, calls and functions", function()
    local lines = lines_of([[
return {
  a = env("A", { b = 1 }) or (1 == 2 and { c = 2 }),
  d = (function() local t = { e = 3, f = 4 } return t, 1 end)(),
  g = { h = #"x" .. 'it\'s', --[=[ } ]=] i = -1e3 },
}]])
    assert.same({ a = 2, d = 3, g = 4, ["g.h"] = 4, ["g.i"] = 4 }, lines)
  end)

  it("ends on whatever it is given", function()
    for _, source in ipairs({ "", "return", "return {", "return {{{{", "return { a = ", "return { a = }}}}",
      "return { [", "return { '", "return { --[[", "return { ) , ]", ("return {"):rep(500) }) do
      assert.is_table(lines_of(source))
    end
  end)
end)
