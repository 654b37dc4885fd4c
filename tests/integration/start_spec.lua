local cjson = require("cjson")
local program = require("program")
local uv = require("luv")

local folder, running

local function start(conf, registry)
  local path = program.configure(folder, conf, registry)
  local agent = program.agent({ "start", "-f", path })
  running[#running + 1] = agent
  return agent, path
end

local function points()
  local found = {}
  for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
    local message = cjson.decode(line)
    for _, point in ipairs(message.points) do
      found[#found + 1] = point
      point.database = message.database
    end
  end
  return found
end

local function seen(name)
  for _, point in ipairs(points()) do
    if point.measurement == name then return point end
  end
end

describe("agent start", function()
  before_each(function()
    folder, running = program.folder(), {}
  end)
  after_each(function()
    for _, agent in ipairs(running) do
      agent.kill()
      agent.wait()
    end
    program.remove(folder)
  end)

  it("publishes points of every group for every namespace, and ends on TERM with status 0", function()
    local agent = start(nil, { ["a.loda"] = {}, ["b.loda"] = {} })
    program.wait("points of every group's first run", 10, function()
      return seen("agent.alive") and seen("mem.total") and seen("kernel.files.max") and seen("net.sockets.used")
    end)
    local databases = {}
    for _, point in ipairs(points()) do
      databases[point.database] = true
      assert.equal(uv.os_gethostname(), point.tags.host)
    end
    assert.same({ ["collect.a.loda"] = true, ["collect.b.loda"] = true }, databases)
    agent.kill("sigterm")
    assert.equal(0, agent.wait(5))
    assert.is_nil(uv.fs_stat(folder .. "/agent.sock"))
  end)

  it("gives every namespace the same bytes of points", function()
    local agent = start(nil, { ["a.loda"] = {}, ["b.loda"] = {} })
    program.wait("points", 10, function() return seen("mem.total") end)
    agent.kill("sigterm")
    agent.wait(5)
    local databases_of = {}
    for line in program.read(folder .. "/points"):gmatch("[^\n]+") do
      local database, body = line:match('^{"database":"(.-)",(.*)$')
      databases_of[body] = databases_of[body] or {}
      table.insert(databases_of[body], database)
    end
    assert.is_not_nil(next(databases_of))
    for _, databases in pairs(databases_of) do
      table.sort(databases)
      assert.same({ "collect.a.loda", "collect.b.loda" }, databases)
    end
  end)

  it("refuses to start beside a living one, and takes over from a dead one", function()
    local first, path = start()
    program.ready(folder, first)
    local second = program.agent({ "start", "-f", path })
    assert.equal(1, second.wait())
    assert.matches("held by", second.output)
    first.kill("sigkill")
    first.wait()
    local third = start()
    program.ready(folder, third)
  end)

  it("answers curl: namespaces, status, a posted metric that is published", function()
    local agent = start()
    program.ready(folder, agent)
    assert.equal('["test.loda"]', (program.curl(folder, "/me/ns")))
    local status = cjson.decode((program.curl(folder, "/me/status")))
    assert.is_string(status.version)
    assert.equal(agent.pid, status.pid)
    local text, code = program.curl(folder, "/post?ns=test.loda", '[{"name":"orders.paid","value":9007199254740991}]')
    assert.equal("send data to MQ success\n", text)
    assert.equal(200, code)
    assert.is_not_nil(seen("RUN.orders.paid"))
    assert.matches('"value":9007199254740991}', program.read(folder .. "/points"))
  end)

  it("takes up a changed registry on /update and on HUP, and keeps the last good one", function()
    local agent = start()
    program.ready(folder, agent)
    program.write(folder .. "/registry.lua", 'return { ["new.loda"] = {} }')
    assert.equal("collect items updated\n", (program.curl(folder, "/update")))
    assert.equal('["new.loda"]', (program.curl(folder, "/me/ns")))
    program.write(folder .. "/registry.lua", 'return { ["newer.loda"] = {} }')
    agent.kill("sighup")
    program.wait("the newer namespace", 10, function()
      return program.curl(folder, "/me/ns") == '["newer.loda"]'
    end)
    program.write(folder .. "/registry.lua", "return while")
    program.curl(folder, "/update")
    assert.equal('["newer.loda"]', (program.curl(folder, "/me/ns")))
  end)

  it("says what is wrong with its configuration and exits 1", function()
    local path = program.configure(folder, { agent = { listn = "x" } })
    local agent = program.agent({ "start", "-f", path })
    assert.equal(1, agent.wait())
    assert.matches("agent.listn", agent.output)
    assert.matches("agent.listen", agent.output)
  end)

  it("ends on TERM within five seconds even when nobody takes its messages", function()
    local peer = uv.new_tcp() -- accepts and never answers
    peer:bind("127.0.0.1", 0)
    peer:listen(8, function() end)
    local agent = start({ output = { name = "nsq", path = nil, spoolsize = 0,
      servers = { "tcp://127.0.0.1:" .. peer:getsockname().port } } })
    program.ready(folder, agent)
    program.wait("messages that wait", 10, function()
      return cjson.decode((program.curl(folder, "/me/status"))).outbox.messages > 0
    end)
    agent.kill("sigterm")
    assert.equal(0, agent.wait(5))
    assert.matches("before everything was acknowledged", agent.output)
    peer:close()
  end)

  it("goes on when the output can't write, and delivers later", function()
    local agent = start({ output = { path = folder .. "/later/points" } })
    program.ready(folder, agent)
    local status
    program.wait("a failed write", 10, function()
      status = cjson.decode((program.curl(folder, "/me/status")))
      return status.output.last_error
    end)
    assert.matches("later/points", status.output.last_error)
    assert.is_true(status.outbox.messages + status.outbox.spooled > 0)
    assert(uv.fs_mkdir(folder .. "/later", tonumber("755", 8)))
    program.wait("the messages", 10, function() return program.read(folder .. "/later/points") end)
  end)
end)

describe("agent once", function()
  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  it("prints a table, rates included", function()
    local once = program.agent({ "once", "-f", program.configure(folder), "CPU", "MEM" })
    assert.equal(0, once.wait())
    assert.matches("cpu%.idle +%d", once.output)
    assert.matches("mem%.total +%d", once.output)
    assert.is_nil(once.output:find("net.", 1, true))
  end)

  it("prints the messages with --json", function()
    local once = program.agent({ "once", "-f", program.configure(folder), "--json", "MEM" })
    assert.equal(0, once.wait())
    local message = cjson.decode(once.stdout)
    assert.equal("collect.test.loda", message.database)
    assert.equal("mem.total", message.points[1].measurement)
  end)

  it("says what is wrong with its configuration and exits 1", function()
    local once = program.agent({ "once", "-f", folder .. "/none.lua" })
    assert.equal(1, once.wait())
    assert.matches("none.lua", once.output)
  end)

  it("names the groups when one is unknown", function()
    local once = program.agent({ "once", "-f", program.configure(folder), "CPUS" })
    assert.equal(64, once.wait())
    assert.matches("CPUS", once.output)
    assert.matches("COREDUMP", once.output)
  end)
end)
