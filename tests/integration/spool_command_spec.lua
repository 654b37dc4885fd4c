-- `agent spool`: what waits on disk, for the operator.

local host_spool = require("host.spool")
local loop = require("loop")
local nsqd = require("nsqd")
local program = require("program")
local uv = require("luv")
local wait = require("wait")

local missing = nsqd.missing()
local with_nsqd = missing and function(name) pending(name .. " (" .. missing .. ")", function() end) end or it

local BODY = '[{"measurement":"RUN.n","fields":{"value":%d}}],"precision":"s"}'

describe("agent spool", function()
  local folder, conf, running

  -- Leaves a file with messages, as an agent would.
  local function leave(number, created, values)
    local store, writer, done = host_spool.new(folder .. "/state/spool"), host_spool.writer(), false
    for _, value in ipairs(values) do writer:add("collect.a.loda", '{"points":', BODY:format(value)) end
    store:open(function(err)
      assert.is_nil(err)
      store:commit(number, created, 0, writer, function(why)
        assert.is_nil(why)
        store:close(function() done = true end)
      end)
    end)
    wait.until_true(function() return done end)
  end

  local function spool(...)
    local child = program.agent({ "spool", "-f", conf, ... })
    local code = child.wait(20)
    return code, child.stdout, child.output
  end

  local function files()
    local count, found = 0, uv.fs_scandir(folder .. "/state/spool/new")
    while found and uv.fs_scandir_next(found) do count = count + 1 end
    return count
  end

  before_each(function()
    folder, running = program.folder(), {}
    conf = program.configure(folder, { output = { name = "nsq", servers = { "tcp://127.0.0.1:1" } } })
  end)
  after_each(function()
    for _, agent in ipairs(running) do
      agent.kill()
      agent.wait()
    end
    nsqd.stop_all()
    program.remove(folder)
    loop.drain()
  end)

  it("says what is wrong with its arguments", function()
    for _, arguments in ipairs({ {}, { "lst" }, { "drop" }, { "drop", "--all", "--older", "1h" }, { "list", "x" },
      { "drop", "--older", "soon" } }) do
      assert.equal(64, (spool(unpack(arguments))), table.concat(arguments, " "))
    end
    local code, _, output = spool("list", "--output", "influxdb")
    assert.equal(1, code)
    assert.matches("no output influxdb", output)
  end)

  it("lists and shows files, and what it can't read of them", function()
    local code, text = spool("list")
    assert.equal(0, code)
    assert.matches(" 0 files, 0 put away\n", text)
    leave(1, 1700000000, { 1, 2 })
    leave(12, 1700000060, { 3 })
    code, text = spool("list")
    assert.equal(0, code)
    assert.matches("2 files, 0 put away\n +1  2023%-11%-14T22:13:20Z +%d+ bytes +2 messages\n +12  ", text)
    code, text = spool("cat")
    assert.equal(0, code)
    local line = '{"points":' .. BODY .. "\n"
    assert.equal((line .. line .. line):format(1, 2, 3), text)
    code, text = spool("cat", "12")
    assert.same({ 0, line:format(3) }, { code, text })
    local path = folder .. "/state/spool/new/000000000001-1700000000.spool"
    program.write(path, program.read(path):sub(1, -3))
    local output
    code, text, output = spool("cat", "1")
    assert.same({ 1, line:format(1) }, { code, text })
    assert.matches("file 1: its end is torn", output)
    assert.equal(2, files())
  end)

  it("drops what is older than asked for, or all", function()
    leave(1, 1700000000, { 1, 2 })
    leave(2, os.time() - 10, { 3 })
    local code, text = spool("drop", "--older", "1h")
    assert.equal(0, code)
    assert.matches("dropped 2 messages in 1 files", text)
    assert.equal(1, files())
    code, text = spool("drop", "--all")
    assert.equal(0, code)
    assert.matches("dropped 1 messages in 1 files", text)
    assert.equal(0, files())
  end)

  with_nsqd("delivers without an agent", function()
    local server = nsqd.start()
    conf = program.configure(folder, { output = { name = "nsq", servers = { "tcp://127.0.0.1:" .. server.tcp_port } } })
    leave(1, 1700000000, { 1, 2 })
    leave(2, 1700000060, { 3 })
    local code, text = spool("drain")
    assert.equal(0, code)
    assert.matches("delivered 3 messages", text)
    assert.equal(0, files())
    local all = table.concat(server:read_until("collect.a.loda", function(messages) return #messages >= 2 end))
    for i = 1, 3 do assert.truthy(all:find('"value":' .. i, 1, true)) end
  end)

  it("only reads beside a running agent", function()
    leave(1, os.time(), { 1 })
    local agent = program.agent({ "start", "-f", conf })
    running[1] = agent
    program.ready(folder, agent)
    program.curl(folder, "/post?ns=a.loda", '[{"name":"n","value":2}]')
    local code, text = spool("list")
    assert.equal(0, code)
    assert.matches("in use by process " .. agent.pid .. ":", text)
    code, text = spool("cat")
    assert.equal(0, code)
    assert.truthy(text:find('"value":2', 1, true))
    for _, arguments in ipairs({ { "drain" }, { "drop", "--all" } }) do
      local failed, _, output = spool(unpack(arguments))
      assert.equal(1, failed)
      assert.matches("in use by process " .. agent.pid, output)
    end
    assert.is_true(files() > 0)
  end)
end)
