local sandbox = require("agent.config.sandbox")

local function problem(source, options)
  local value, wrong = sandbox.evaluate(source, options or {})
  assert.is_nil(value)
  return wrong
end

describe("a configuration file's sandbox", function()
  it("gives the table that the file returns", function()
    assert.same({ agent = { listen = "x" } }, sandbox.evaluate('return { agent = { listen = "x" } }', {}))
  end)

  it("offers env() with a default, and plain string, table and math functions", function()
    local source = [[
      local names = {}
      for i = 1, 3 do table.insert(names, ("eth%d"):format(i)) end
      return { secret = env("TOKEN"), path = env("NOWHERE", "/x"), none = env("NOWHERE"),
               names = table.concat(names, " "), top = math.max(1, 2), up = ("a"):upper() }
    ]]
    assert.same({ secret = "s3", path = "/x", names = "eth1 eth2 eth3", top = 2, up = "A" },
      sandbox.evaluate(source, { variables = { TOKEN = "s3" } }))
  end)

  for _, name in ipairs({ "io", "os", "require", "ffi", "jit", "load", "loadstring", "loadfile", "dofile", "debug",
    "package", "_G", "getfenv", "setfenv", "setmetatable", "getmetatable", "coroutine", "rawset", "xpcall",
    "collectgarbage", "print" }) do
    it("does not offer " .. name, function()
      local wrong = problem("\nreturn { x = " .. name .. " }")
      assert.equal(2, wrong.line)
      assert.truthy(wrong.message:find(('there is no "%s"'):format(name), 1, true))
    end)
  end

  it("does not show the real string library through a string's methods", function()
    assert.truthy(problem("return { x = ('').dump(function() end) }").message:find("dump"))
    assert.truthy(problem("return { x = ('x'):rep(2^30) }").message:find("1 MiB"))
    assert.is_function(("x").dump)
  end)

  it("leaves the agent's own libraries alone when the file changes its copies", function()
    sandbox.evaluate("string.format = nil; table.insert = nil; math.max = nil return {}", {})
    assert.is_function(string.format)
    assert.is_function(table.insert)
    assert.is_function(math.max)
  end)

  it("stops an endless loop", function()
    assert.equal("the file takes too many instructions", problem("while true do end").message)
  end)

  it("stops an endless loop that catches errors", function()
    assert.equal("the file takes too many instructions",
      problem("while true do pcall(function() while true do end end) end").message)
  end)

  it("stops a file that fills the memory", function()
    local source = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"
    assert.equal("the file takes too much memory", problem(source, { kilobytes = 4096 }).message)
  end)

  it("stops endless recursion", function()
    assert.truthy(problem("local function f() return 1 + f() end f()").message:find("stack overflow"))
  end)

  it("takes no hook and no limit into what runs afterwards", function()
    problem("while true do end", { instructions = 1e4 })
    assert.is_nil((debug.gethook()))
  end)

  it("refuses compiled Lua", function()
    assert.equal("compiled Lua is refused; the source is wanted",
      problem(string.dump(function() return {} end)).message)
  end)

  it("names the line of a syntax error and of a raised error", function()
    assert.equal(3, problem("return {\n a = 1\n b = 2 }").line)
    local wrong = problem("\nerror('no such host')")
    assert.same({ line = 2, message = "no such host" }, wrong)
    assert.equal("raised a table", problem("error({})").message)
  end)

  it("refuses a file that returns no table", function()
    assert.equal("must return a table, returns nothing", problem("").message)
    assert.equal("must return a table, returns a string", problem("return 'x'").message)
  end)
end)
