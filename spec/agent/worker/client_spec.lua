local client = require("agent.worker.client")
local uv = require("luv")
local wait = require("wait")
local sanitizer = require("sanitizer")

-- Workers that only exist for this spec come from a tree of their own, by AGENT_LUA_PATH.
local WORKERS = {
  echo = "return function(request) return request end",
  items = "return function(n, emit) for i = 1, n do emit({ i = i }) end return 'end' end",
  raises = "return function() local nothing; return nothing.field end",
  refuses = "return function() error({ code = 'ENOENT', message = 'not there', more = 1 }) end",
  loops = "return function() while true do end end",
  eats = "return function() local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end end",
  dies = "return function() io.stderr:write('last words\\n') os.exit(3) end",
  giant = "return function() return ('x'):rep(9 * 1024 * 1024) end",
  sums = "return function(sum, _, receive) for n in receive do sum = sum + n end return sum end",
}

local function run(name, request, options)
  local done, err, result
  client.run(name, request, options, function(e, r) done, err, result = true, e, r end)
  wait.until_true(function() return done end, 20000)
  return err, result
end

describe("agent.worker.client", function()
  local tree, before
  local setenv = uv.os_setenv

  setup(function()
    before = os.getenv("AGENT_LUA_PATH")
    tree = assert(uv.fs_mkdtemp("/tmp/agent-worker-XXXXXX"))
    os.execute(("mkdir -p %s/agent/worker"):format(tree))
    for name, text in pairs(WORKERS) do
      local file = assert(io.open(("%s/agent/worker/%s.lua"):format(tree, name), "w"))
      file:write(text)
      file:close()
    end
    setenv("AGENT_LUA_PATH", tree)
  end)

  teardown(function()
    if before then setenv("AGENT_LUA_PATH", before) else uv.os_unsetenv("AGENT_LUA_PATH") end
    os.execute("rm -rf " .. tree)
  end)

  it("hands any plain value over and back", function()
    local value = { 1, "two", { three = true, big = 2 ^ 53 }, [10] = "\0", f = 0.1 }
    local err, result = run("echo", value)
    assert.is_nil(err)
    assert.same(value, result)
    assert.is_nil(select(2, run("echo", nil)))
    assert.equal(("x"):rep(3e6), select(2, run("echo", ("x"):rep(3e6))))
  end)

  it("delivers items in order before the result", function()
    local seen = {}
    local err, result = run("items", 100, { on_item = function(item) seen[#seen + 1] = item.i end })
    assert.is_nil(err)
    assert.equal("end", result)
    assert.equal(100, #seen)
    assert.equal(100, seen[100])
  end)

  it("says what a worker raised, with its place", function()
    local err = run("raises")
    assert.equal("failed", err.code)
    assert.matches("^worker raises: .*raises%.lua:1: attempt to index", err.message)
    assert.matches("raises%.lua:1", err.traceback)
    err = run("refuses")
    assert.equal("worker refuses: not there", err.message)
    assert.same({ code = "ENOENT", message = "not there", more = 1 }, err.detail)
  end)

  it("fails for a worker that does not exist", function()
    local err = run("nosuch")
    assert.equal("failed", err.code)
    assert.matches("agent%.worker%.nosuch", err.message)
    assert.has_error(function() client.run("../evil", nil, nil, function() end) end)
  end)

  it("ends a worker that loops, at its deadline", function()
    local err = run("loops", nil, { deadline_ms = 100 })
    assert.equal("timeout", err.code)
    assert.matches("worker loops", err.message)
  end)

  it("ends a worker that uses more CPU or memory than it may", function()
    assert.equal("crashed", run("loops", nil, { limits = { cpu_s = 1 } }).code)
    if sanitizer.present() then return end -- its shadow memory is over every limit
    local err = run("eats", nil, { limits = { address_space = 64 * 1024 * 1024 } })
    assert.is_true(err.code == "failed" or err.code == "crashed")
  end)

  it("says how a worker died, with its last words", function()
    local err = run("dies")
    assert.equal("crashed", err.code)
    assert.equal("worker dies: ended with status 3 without a result: last words", err.message)
  end)

  it("fails when the result is over what a frame holds", function()
    assert.equal("failed", run("giant").code)
  end)

  it("feeds a worker with more than one value", function()
    local err, result
    local handle = client.run("sums", 1, nil, function(e, r) err, result = e, r end)
    for i = 1, 10 do assert.is_true(handle:send(i)) end
    handle:end_send()
    wait.until_true(function() return result or err end)
    assert.equal(56, result)
  end)

  it("ends a worker on request", function()
    local err
    local handle = client.run("loops", nil, nil, function(e) err = e end)
    handle:kill()
    wait.until_true(function() return err end)
    assert.equal("crashed", err.code)
    assert.equal("worker loops: killed by signal 9", err.message)
  end)
end)

describe("worker resolve", function()
  it("resolves a name to numbers, and says why it can't", function()
    local err, list = run("resolve", { host = "localhost", port = 4150 })
    assert.is_nil(err)
    assert.is_true(#list >= 1)
    for _, entry in ipairs(list) do
      assert.is_true(entry.addr == "127.0.0.1" or entry.addr == "::1")
      assert.equal(4150, entry.port)
    end
    err = run("resolve", { host = "no-such-name.invalid", port = 1 })
    assert.equal("failed", err.code)
    assert.matches("no%-such%-name%.invalid", err.message)
    assert.is_string(err.detail.code)
  end)
end)
