-- Real workers evaluate these files.
local luafile = require("agent.luafile")
local program = require("program")
local sanitizer = require("sanitizer")

describe("a Lua file", function()
  local folder, path
  before_each(function()
    folder = program.folder()
    path = folder .. "/file.lua"
  end)
  after_each(function() program.remove(folder) end)

  local function load(source)
    program.write(path, source)
    local answer
    luafile.load(path, function(err, data, lines) answer = { err = err, data = data, lines = lines } end)
    program.wait("the file to be evaluated", 10, function() return answer end)
    return answer
  end

  it("gives its data and lines", function()
    local answer = load("return {\n a = { b = 'x' },\n home = env('HOME'), none = env('NO_SUCH', 1) }")
    assert.is_nil(answer.err)
    assert.same({ a = { b = "x" }, home = os.getenv("HOME"), none = 1 }, answer.data)
    assert.equal(2, answer.lines["a.b"])
  end)

  it("is found by a relative path", function()
    local answer
    luafile.load("conf/registry.lua", function(err, data) answer = { err = err, data = data } end)
    program.wait("the file to be evaluated", 10, function() return answer end)
    assert.is_nil(answer.err)
    assert.is_table((select(2, next(answer.data))))
  end)

  it("that is wrong is refused with file, line and reason", function()
    local err = load("return {\n a = ioo }").err
    assert.equal("invalid", err.code)
    assert.equal(path .. ':2: there is no "ioo" in a configuration file', err.message)
    assert.equal(2, err.problems[1].line)
    assert.equal(path .. ":1: x: a function is no plain value", load("return { x = function() end }").err.message)
  end)

  it("that does not end is stopped: a loop, a backtracking search, recursion through pcall", function()
    local began = os.time()
    assert.equal(path .. ": the file takes too many instructions", load("while true do end").err.message)
    for _, source in ipairs({ "return { (('a'):rep(30000)):find(('.-'):rep(20) .. 'b') }",
      "local function f() while true do pcall(f) end end f()" }) do
      local err = load(source).err
      assert.truthy(err.code == "timeout" or err.code == "invalid", err.code)
      assert.equal(path, err.message:sub(1, #path))
    end
    assert.is_true(os.time() - began <= 8)
  end)

  it("that takes too much memory at once is an error", function()
    if sanitizer.present() then return pending("no limit of memory in a build with a sanitizer") end
    local err = load("local s = ('x'):rep(2^20) for _ = 1, 20 do s = s .. s end return {}").err
    assert.truthy(err.message:find("memory"), err.message)
  end)
end)

describe("the configuration's load", function()
  it("gives conf and warnings, or every problem", function()
    local config = require("agent.config")
    local folder = program.folder()
    local path = folder .. "/agent.lua"
    local function load(source)
      program.write(path, source)
      local answer
      config.load(path, function(err, conf, warnings) answer = { err = err, conf = conf, warnings = warnings } end)
      program.wait("the configuration", 10, function() return answer end)
      return answer
    end
    local good = load("return { output = { ack = '1m' } }")
    assert.is_nil(good.err)
    assert.equal(60, good.conf.output.ack)
    assert.equal("agent.registryaddr", good.warnings[1].key)
    local bad = load("return {\n output = { ack = '1y',\n nmae = 1 } }").err
    assert.equal("invalid", bad.code)
    assert.equal(2, #bad.problems)
    assert.equal(path .. ":2: output.ack: got a string, want a number of seconds, or a string with ms, s, m, h "
      .. "or d such as \"10s\", 100ms to 5m (and 1 more)", bad.message)
    assert.truthy(load("return nil").err.message:find("must return a table", 1, true))
    program.remove(folder)
  end)
end)
