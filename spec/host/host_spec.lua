local host = require("host")
local loop = require("loop")
local uv = require("luv")

local function busy_for(seconds)
  local target = uv.hrtime() + seconds * 1e9
  repeat until uv.hrtime() >= target
end

describe("the host", function()
  it("counts a callback of the loop that raises, and goes on", function()
    local errors, after = host.errors(), false
    local first, second = uv.new_timer(), uv.new_timer()
    first:start(0, 0, function() error("raised on purpose") end)
    second:start(5, 0, function() after = true end)
    loop.wait(function() return after end, "the timer behind the raising one")
    first:close()
    second:close()
    assert.equal(errors + 1, host.errors())
  end)

  it("counts errors that are no strings as well", function()
    local errors = host.errors()
    assert.is_false(host.call(error))
    assert.is_false(host.call(error, {}))
    assert.is_false(host.call(error, setmetatable({}, { __tostring = function() return "an object" end })))
    assert.equal(errors + 3, host.errors())
  end)

  it("hands the arguments of call on, and says that nothing was raised", function()
    local got
    assert.is_true(host.call(function(...) got = { ... } end, 1, nil, "x"))
    assert.same({ 1, nil, "x" }, got)
  end)

  it("starts a command without the JIT", function()
    local folder = assert(uv.fs_mkdtemp("/tmp/agent-test-XXXXXX"))
    os.execute("mkdir -p " .. folder .. "/agent/cli")
    local f = io.open(folder .. "/agent/cli/version.lua", "w")
    f:write("return { run = function() print((jit.status())) return 0 end }")
    f:close()
    local pipe = io.popen(("AGENT_LUA_PATH=%s %s version"):format(folder, uv.fs_readlink("/proc/self/exe")))
    local said = pipe:read("*a")
    pipe:close()
    os.execute("rm -rf " .. folder)
    assert.equal("false\n", said)
  end)

  it("measures the longest turn of the loop, once", function()
    local timer, done = uv.new_timer(), false
    timer:start(0, 0, function()
      busy_for(0.03)
      timer:start(1, 0, function() done = true end)
    end)
    loop.wait(function() return done end, "two turns")
    timer:close()
    local stall = host.take_stall()
    assert.is_true(stall >= 30, stall)
    assert.is_true(host.take_stall() < 30)
  end)

  it("works on after giving back memory", function()
    host.trim()
    assert.equal("42", tostring(6 * 7))
  end)
end)
