-- What a builtin function cannot do: each as a file, run by the real worker.

local builtin = require("builtin")
local program = require("program")
local uv = require("luv")

describe("a builtin function cannot", function()
  local folder

  before_each(function() folder = builtin.folder() end)
  after_each(function() program.remove(folder) end)

  local function reason(body, options)
    local outcome = builtin.run(folder, body, options)
    assert.not_equal(0, outcome.status, body)
    return outcome.reason, outcome.status
  end

  local function stopped(body, why)
    local said = reason(body)
    assert.match(why, said)
    assert.truthy(builtin.logged("stopped by force"), body)
  end

  it("loop for ever", function()
    stopped("while true do end", "CPU in one go at probe.lua:2")
    stopped("local function f() return f() end f()", "CPU in one go")
    stopped("for _ = 1, math.huge do ctx.now() end", "CPU in one go")
  end)

  it("loop for ever behind pcall, xpcall, or their handlers", function()
    stopped("while true do pcall(function() while true do end end) end", "CPU in one go")
    stopped("while true do xpcall(function() while true do end end, function() while true do end end) end",
      "CPU in one go")
    -- Always at the end of its stack, where no hook has room: the worker goes.
    assert.truthy(reason("local function f() pcall(f) return f() end f()"))
  end)

  it("loop for ever in a metamethod, a comparison or a replacement", function()
    stopped("local t = setmetatable({}, { __index = function() while true do end end }) return { a = t.x }",
      "CPU in one go")
    stopped("table.sort({ 1, 2, 3 }, function() while true do end end)", "CPU in one go")
    stopped('("x"):gsub("x", function() while true do end end)', "CPU in one go")
  end)

  it("hide in a pattern that backtracks: the worker goes, and the function is named", function()
    local outcome = builtin.run(folder, 'local s = ("a"):rep(1e5) return { a = s:find((".-"):rep(30) .. "b") or 0 }')
    assert.equal(2, outcome.status)
    assert.match("did not come back within 2000 ms", outcome.reason)
    assert.equal("probe", builtin.logged("guard: ").fields.guilty)
  end)

  it("hide in a call of C that does not end", function()
    assert.match("did not come back",
      (reason('local t = {} for i = 1, 1e3 do t[i] = "x" end table.concat(t, ("y"):rep(4e6), 1, 1000)') or "")
        :gsub("not enough memory", "did not come back"))
    assert.truthy(reason("table.insert({}, -2e9, 1) ctx.sleep(60)", { timeout = 1 }))
  end)

  it("make strings of any length", function()
    assert.match("string.rep: longer than 4 MiB", (reason('return { a = ("x"):rep(1e10) }')))
    assert.match("string.rep: longer than 4 MiB", (reason('return { a = string.rep("x", 1e6, ("y"):rep(1e6)) }')))
    assert.match("memory", (reason('local s = "x" while true do s = s .. s end')))
    assert.match("memory", (reason('local s = ("x"):rep(4e6) s = s:gsub(".", s)')
      :gsub("did not come back", "as long as it had memory")))
  end)

  it("eat memory", function()
    stopped("local t = {} for i = 1, 1e9 do t[i] = { i } end", "KiB of memory")
    stopped("local t = {} for i = 1, 1e9 do pcall(function() t[i] = ('x'):rep(1e4) .. i end) end", "KiB of memory")
  end)

  it("keep ever more from run to run", function()
    local conf = require("agent.config").defaults()
    conf.builtin.memory = 4 * 2 ^ 20
    builtin.run(folder, [[
      kept = rawget(_G, "kept") or {}
      kept[#kept + 1] = ("x"):rep(3e6) .. #kept
      return { n = #kept }
    ]], { times = 8, conf = conf })
    assert.truthy(builtin.logged("keeps too much memory between its runs"))
  end)

  it("exhaust the stack", function()
    assert.match("stack overflow", (reason("local function f() return 1 + f() end return { a = f() }")))
    assert.match("probe", builtin.run(folder, "return { a = 1 }") and "probe")
  end)

  it("find what would lead out", function()
    for _, name in ipairs({ "io", "ffi", "debug", "package", "require", "load", "loadstring", "loadfile", "dofile",
      "getfenv", "setfenv", "rawset", "collectgarbage", "newproxy", "module", "jit", "coroutine", "print", "arg" }) do
      assert.match(('there is no global "%s"'):format(name), (reason("return " .. name)), name)
    end
    for _, path in ipairs({ "os.execute", "os.exit", "os.getenv", "os.remove", "os.rename", "os.tmpname",
      "string.dump", "math.randomseed" }) do
      assert.match("nil value", (reason("return " .. path .. "()")), path)
    end
  end)

  it("change what others see", function()
    for _, body in ipairs({ "string.x = 1", "math.pi = 3", "table.insert = nil", "os.time = 1", "json.encode = 1",
      "bit.x = 1", 'local s = "" s.x = 1' }) do
      assert.truthy(reason(body), body)
    end
    for body, why in pairs({
      ['getmetatable("").__index = {}'] = "index",
      ['setmetatable(string, {})'] = "protected",
      ['setmetatable(_G, {})'] = "protected",
      ['setmetatable(ctx, {})'] = "protected",
      ["next(string).x = 1"] = "index",
    }) do assert.match(why, (reason(body)), body) end
  end)

  it("leave globals to others, but to its own next run", function()
    builtin.write(folder, "other", 'return { seen = rawget(_G, "mine") and 1 or 0 }')
    local outcomes = builtin.run(folder, 'local before = rawget(_G, "mine") mine = 1 tostring = nil '
      .. "return { again = before or 0 }", { times = 2 })
    assert.equal(1, builtin.value(outcomes[2], "again"))
    local other = require("agent.builtin.try").run("other", { directories = { folder .. "/builtin" } })[1]
    assert.equal(0, builtin.value(other, "seen"))
  end)

  it("raise through, whatever it raises", function()
    assert.equal("raised a table", (reason("error({})")))
    assert.equal("raised a nil", (reason("error(nil)")))
    assert.equal("raised a table",
      (reason("error(setmetatable({}, { __tostring = function() while true do end end }))")))
    assert.match("raised a function", (reason("error(function() end)")))
    assert.equal(500, #reason('error(("x"):rep(1e6), 0)'))
  end)

  it("return what floods", function()
    assert.match("more than 5000 metrics",
      (reason('local t = {} for i = 1, 6000 do t["m" .. i] = i end return t')))
    assert.match("more than 512 KiB",
      (reason('local t = {} for i = 1, 1000 do t["m" .. i] = ("x"):rep(1000) end return t')))
    assert.match("returned a function", (reason("return function() end")))
    local outcome = builtin.run(folder,
      'return { { name = "a", value = 1, tags = setmetatable({}, { __index = error }) },'
      .. " setmetatable({}, { __index = function() while true do end end }) }")
    assert.equal(3, outcome.status)
  end)

  it("be compiled code", function()
    program.write(folder .. "/builtin/code.lua", string.dump(function() end))
    local outcome = require("agent.builtin.try").run("code", { directories = { folder .. "/builtin" },
      log = builtin.log })[1]
    assert.match("compiled Lua is refused", outcome.reason)
  end)

  it("hang while it is loaded, or be a fifo", function()
    program.write(folder .. "/builtin/spin.lua", "while true do end")
    program.write(folder .. "/builtin/back.lua", 'return ((("a"):rep(1e5)):find((".-"):rep(30) .. "b"))')
    program.write(folder .. "/builtin/wait.lua", "local x = ...\nreturn { run = 5 }")
    os.execute("mkfifo " .. folder .. "/builtin/fifo.lua")
    builtin.run(folder, "return { a = 1 }")
    assert.truthy(builtin.logged("spin.lua: more than 0.25 s of CPU") or builtin.logged("spin.lua:1: more than 0.25 s"))
    assert.truthy(builtin.logged("back.lua: does not come back when it is loaded"))
    assert.truthy(builtin.logged("wait.lua: returns a table without a function `run`"))
  end)

  it("run as root", function()
    if uv.getuid() ~= 0 then return pending("only root can become another user") end
    local outcome = builtin.run(folder, 'return { uid = ctx.exec{ "/usr/bin/id", "-u" }.stdout,'
      .. ' caps = ctx.read_file("/proc/self/status"):match("CapEff:%s+(%x+)"),'
      .. ' shadow = select(3, ctx.read_file("/etc/shadow")), mem = select(3, ctx.read_file("/proc/self/mem")),'
      .. ' environ = select(3, ctx.read_file("/proc/self/environ")) }')
    assert.not_equal("0\n", builtin.value(outcome, "uid"))
    assert.match("^0+$", builtin.value(outcome, "caps"))
    for _, name in ipairs({ "shadow", "mem", "environ" }) do
      assert.equal("EACCES", builtin.value(outcome, name), name)
    end
  end)
end)
