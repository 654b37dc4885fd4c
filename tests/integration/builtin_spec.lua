-- Builtin functions in the running agent: assigned, published, misbehaving beside good ones, changed meanwhile.

local builtin = require("builtin")
local cjson = require("cjson")
local program = require("program")
local uv = require("luv")

local NS = "web.shop.loda"

local folder, agent

local function start(conf, items)
  conf.agent = conf.agent or {}
  conf.agent.mininterval = 1
  local path = program.configure(folder, conf, { [NS] = items or {} })
  agent = program.agent({ "start", "-f", path })
  program.ready(folder, agent)
end

local function status()
  return cjson.decode((program.curl(folder, "/me/status")))
end

local function update()
  local curl = program.spawn("/usr/bin/curl", { "-s", "-m", "20", "-H", "Accept: application/json", "--unix-socket",
    folder .. "/agent.sock", "http://localhost/update" })
  curl.wait(25)
  return cjson.decode(curl.stdout)
end

-- The points of one measurement, in order; those of other namespaces too with `database`.
local function points(name, database)
  local found = {}
  for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
    if line:find('"' .. name .. '"', 1, true) then
      local message = cjson.decode(line)
      for _, point in ipairs(message.points) do
        local here = point.measurement == name and message.database == (database or "collect." .. NS)
        if here then found[#found + 1] = { value = point.fields.value, tags = point.tags, time = point.timestamp } end
      end
    end
  end
  return found
end

local function last(name)
  local list = points(name)
  return list[#list] and list[#list].value
end

local function wait_for(name, value, seconds)
  return program.wait(("%s = %s"):format(name, tostring(value)), seconds or 20, function()
    if value == nil then return last(name) ~= nil end
    return last(name) == value
  end)
end

local function lines(text)
  local n = 0
  for _ in agent.output:gmatch(text) do n = n + 1 end
  return n
end

describe("an agent with builtin functions", function()
  before_each(function() folder = builtin.folder() end)

  after_each(function()
    if agent then
      agent.kill()
      agent.wait()
    end
    agent = nil
    program.remove(folder)
  end)

  it("runs what items of the registry ask for, with text for everything", function()
    builtin.write(folder, "echo", "return { port = tonumber(params.port), ns = ctx.ns }")
    start({}, {
      { measurement_type = "GOPLUGIN", name = "test", interval = "1", params = "" },
      { measurement_type = "LUA", name = "PLUGIN.echo", interval = "1", params = '{"port": "80"}' },
      { measurement_type = "BUILTIN", name = "again", builtin = "echo", interval = 1, params = { port = 443 } },
    })
    wait_for("PLUGIN.test.test", 100)
    wait_for("plugin.test", 0)
    wait_for("PLUGIN.echo.port", 80)
    wait_for("PLUGIN.again.port", 443)
    assert.equal(NS, last("PLUGIN.echo.ns"))
    assert.equal("test", points("agent.plugin.seconds")[1].tags.plugin:match("test") or "test")
  end)

  it("runs what the configuration assigns, in all namespaces or in some", function()
    builtin.write(folder, "echo", "return { x = params.x }")
    start({ builtins = { echo = { interval = 1, params = { x = 1 } },
      two = { run = "echo", interval = "1s", ns = "other.loda", params = { x = 2 } } } })
    wait_for("PLUGIN.echo.x", 1)
    program.wait("the other namespace", 10, function()
      return points("PLUGIN.two.x", "collect.other.loda")[1] ~= nil
    end)
    assert.equal(0, #points("PLUGIN.two.x"))
  end)

  it("tells the exception namespace of a failure", function()
    builtin.write(folder, "bad", 'error("no luck")')
    start({ builtins = { bad = { interval = 1 }, nothing = { interval = 1 } } })
    wait_for("plugin.bad", 1)
    wait_for("plugin.nothing", 1)
    program.wait("goplugin.result", 10, function()
      local list = points("goplugin.result", "collect.exception.monitor.loda")
      return list[2] and list[1].tags.ns == NS
    end)
    program.wait("the reasons in the log", 10, function()
      return agent.output:find("bad.lua:2: no luck", 1, true)
        and agent.output:find("there is no builtin function nothing", 1, true)
    end)
  end)

  it("loads nothing of it and starts no worker when nobody asks for a function", function()
    start({})
    assert.is_nil(status().builtins)
  end)

  -- The one that can't be stopped takes the worker with it; those beside it don't notice.
  it("keeps good functions going beside those that hang, flood, eat memory and crash", function()
    builtin.write(folder, "steady", [[
      ctx.state.n = (ctx.state.n or 0) + 1
      ctx.sleep(0.1)
      return { n = ctx.state.n }
    ]])
    builtin.write(folder, "spin", "while true do end")
    builtin.write(folder, "back", 'return { a = (("a"):rep(1e5)):find((".-"):rep(30) .. "b") }')
    builtin.write(folder, "eat", 'local t = {} for i = 1, 1e9 do t[i] = { i } end')
    builtin.write(folder, "huge", 'local s = "x" while true do s = s .. s end')
    builtin.write(folder, "flood", 'local t = {} for i = 1, 5000 do t["m" .. i] = i end return t')
    builtin.write(folder, "never", "ctx.sleep(1000)")
    local builtins = { a = { run = "steady", interval = 1 }, b = { run = "steady", interval = 1 },
      c = { run = "steady", interval = 1 } }
    for _, name in ipairs({ "spin", "back", "eat", "huge", "flood" }) do builtins[name] = { interval = 1 } end
    builtins.flood.interval = 5
    builtins.never = { interval = 3, timeout = 1 }
    start({ builtins = builtins })
    wait_for("plugin.back", 2)
    wait_for("plugin.spin", 1)
    wait_for("plugin.eat", 1)
    wait_for("plugin.huge", 1)
    wait_for("plugin.never", 2)
    wait_for("PLUGIN.flood.m5000", 5000)
    program.wait("eight runs beside them", 40, function() return #points("PLUGIN.a.n") >= 8 end)
    for _, name in ipairs({ "a", "b", "c" }) do
      for i, point in ipairs(points("PLUGIN." .. name .. ".n")) do assert.equal(i, point.value) end
      for _, point in ipairs(points("plugin." .. name)) do assert.equal(0, point.value) end
    end
    local now = status()
    assert.is_true(now.stall_ms < 50, "longest stall " .. now.stall_ms) -- they would stall it for seconds
    assert.equal(0, now.errors)
    assert.is_true(now.builtins.restarts >= 1)
    for _, name in ipairs({ "back", "spin", "eat", "huge" }) do
      assert.match("stopped by force: [^\n]* builtin=" .. name .. " item=" .. name, agent.output)
    end
    assert.match("guilty=back", agent.output)
    io.stderr:write(("# longest stall beside hostile functions: %.1f ms\n"):format(now.stall_ms))
  end)

  it("gives a function that has to be stopped more and more time", function()
    builtin.write(folder, "spin", "while true do end")
    start({ builtins = { spin = { interval = 1 } } })
    program.wait("the third strike", 30, function() return lines("stopped by force") >= 3 end)
    assert.match("pause=2.*pause=4.*pause=8", agent.output)
  end)

  it("runs all again at once when the worker is killed, and ctx.state survives", function()
    builtin.write(folder, "slow", [[
      ctx.state.n = (ctx.state.n or 0) + 1
      if ctx.state.n == 3 then ctx.sleep(1) end
      return { n = ctx.state.n }
    ]])
    start({ builtins = { slow = { interval = 2 } } })
    wait_for("PLUGIN.slow.n", 2)
    program.wait("a run under way", 10, function() return status().builtins.in_flight == 1 end)
    uv.kill(status().builtins.pid, "sigkill")
    wait_for("PLUGIN.slow.n", 4)
    local values = {}
    for i, point in ipairs(points("PLUGIN.slow.n")) do values[i] = point.value end
    assert.same({ 1, 2, 3, 4 }, values)
    assert.same(0, last("plugin.slow"))
  end)

  it("has ctx.state again after a restart of the agent", function()
    builtin.write(folder, "count", "ctx.state.n = (ctx.state.n or 0) + 1 return { n = ctx.state.n }")
    start({ builtins = { count = { interval = 1 } } })
    wait_for("PLUGIN.count.n", 2)
    agent.kill("sigterm")
    assert.equal(0, agent.wait(10))
    start({ builtins = { count = { interval = 1 } } })
    program.wait("the third run", 15, function() return (last("PLUGIN.count.n") or 0) >= 3 end)
    for i, point in ipairs(points("PLUGIN.count.n")) do assert.equal(i, point.value) end
  end)

  it("ends a worker that does not answer", function()
    builtin.write(folder, "test", "return { n = 1 }")
    start({ builtins = { test = { interval = 1 } } })
    wait_for("PLUGIN.test.n", 1)
    local pid = status().builtins.pid
    uv.kill(pid, "sigstop")
    program.wait("another worker", 30, function()
      local now = status().builtins
      return now.pid and now.pid ~= pid
    end)
    local before = #points("PLUGIN.test.n")
    program.wait("more points", 10, function() return #points("PLUGIN.test.n") > before end)
  end)

  it("takes over a changed file by itself, and ctx.state survives", function()
    builtin.write(folder, "one", "ctx.state.n = (ctx.state.n or 0) + 1 return { n = ctx.state.n, version = 1 }")
    start({ builtins = { one = { interval = 1 } } })
    wait_for("PLUGIN.one.version", 1)
    builtin.write(folder, "one", "ctx.state.n = ctx.state.n + 1 return { n = ctx.state.n, version = 2 }")
    wait_for("PLUGIN.one.version", 2)
    for i, point in ipairs(points("PLUGIN.one.n")) do assert.equal(i, point.value) end
  end)

  it("keeps the old version of a file that is broken now, says where, and takes the next good one", function()
    builtin.write(folder, "one", "return { version = 1 }")
    start({ builtins = { one = { interval = 1 } } })
    wait_for("PLUGIN.one.version", 1)
    program.write(folder .. "/builtin/one.lua", "local x = 1\nreturn function( x y")
    local broken = program.wait("the report", 15, function() return (status().builtins.broken or {})[1] end)
    assert.same({ "one", folder .. "/builtin/one.lua", 2 }, { broken.name, broken.path, broken.line })
    assert.match("expected near", broken.message)
    assert.match("one.lua:2: .*kept=\"?the version before", agent.output)
    local before = #points("PLUGIN.one.version")
    uv.kill(status().builtins.pid, "sigkill") -- the old version outlives the worker
    program.wait("more of the old version", 15, function() return #points("PLUGIN.one.version") > before + 1 end)
    assert.equal(1, last("PLUGIN.one.version"))
    assert.equal(0, last("plugin.one"))
    builtin.write(folder, "one", "return { version = 3 }")
    wait_for("PLUGIN.one.version", 3)
    program.wait("nothing broken", 10, function() return not status().builtins.broken end)
  end)

  it("keeps the old version of a file that hangs when it is loaded", function()
    builtin.write(folder, "one", "return { version = 1 }")
    start({ builtins = { one = { interval = 1 } } })
    wait_for("PLUGIN.one.version", 1)
    program.write(folder .. "/builtin/one.lua", 'return ((("a"):rep(1e5)):find((".-"):rep(30) .. "b"))')
    local broken = program.wait("the report", 30, function() return (status().builtins.broken or {})[1] end)
    assert.match("does not come back", broken.message)
    local before = #points("PLUGIN.one.version")
    program.wait("more of the old version", 15, function() return #points("PLUGIN.one.version") > before + 1 end)
    assert.equal(0, last("plugin.one"))
  end)

  it("lets the later directory win, says so, and goes back when its file goes", function()
    start({ builtins = { test = { interval = 1 } } })
    wait_for("PLUGIN.test.test", 100)
    builtin.write(folder, "test", "return { test = 7 }")
    wait_for("PLUGIN.test.test", 7)
    assert.match(folder:gsub("%p", "%%%0") .. "/builtin/test.lua hides .*/builtin/test.lua", agent.output)
    os.remove(folder .. "/builtin/test.lua")
    wait_for("PLUGIN.test.test", 100)
  end)

  it("takes over on /update, and on HUP, what no event told of", function()
    builtin.write(folder, "one", "return { version = 1 }")
    start({ builtins = { one = { interval = 1 } } })
    wait_for("PLUGIN.one.version", 1)
    builtin.write(folder, "one", "return { version = 2 }")
    local change = update().builtins
    assert.is_table(change)
    wait_for("PLUGIN.one.version", 2)
    program.write(folder .. "/builtin/one.lua", "return 5")
    change = update().builtins
    assert.equal(1, #status().builtins.broken)
    builtin.write(folder, "two", "return { version = 1 }")
    program.configure(folder, { agent = { mininterval = 1 }, builtins = { two = { interval = 1 } } }, { [NS] = {} })
    agent.kill("sighup")
    wait_for("PLUGIN.two.version", 1)
    assert.is_table(change)
  end)

  it("starts a function that was missing once its file is there", function()
    start({ builtins = { late = { interval = 1 } } })
    wait_for("plugin.late", 1)
    builtin.write(folder, "late", "return { x = 1 }")
    wait_for("PLUGIN.late.x", 1, 40)
    wait_for("plugin.late", 0)
  end)

  it("ends the worker when no function is wanted any more", function()
    start({ builtins = { test = { interval = 1 } } })
    wait_for("PLUGIN.test.test", 100)
    local pid = status().builtins.pid
    program.configure(folder, { agent = { mininterval = 1 } }, { [NS] = {} })
    update()
    program.wait("the worker's end", 10, function() return uv.kill(pid, 0) ~= 0 end)
    assert.is_nil(status().builtins.pid)
  end)
end)
