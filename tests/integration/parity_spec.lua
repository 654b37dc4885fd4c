-- What nsqd gets is byte for byte what the output `file` writes: two agents look at the same fixture
-- machine, one publishes to a real nsqd, one to a file.

local cjson = require("cjson")
local nsqd = require("nsqd")
local program = require("program")
local uv = require("luv")

local ROUNDS = 6 -- a minute of ten-second groups, at one second each

-- Different runs differ in their timestamps, and in what the agent tells about itself.
local function comparable(message)
  if message:find('"agent.uptime"', 1, true) then return nil end
  return (message:gsub('"timestamp":%d+', '"timestamp":0'))
end

local function set_of(messages)
  local set = {}
  for _, message in ipairs(messages) do
    assert(cjson.decode(message), "not JSON: " .. message)
    local text = comparable(message)
    if text then set[text] = true end
  end
  return set
end

local function lines(path)
  local list = {}
  for line in (program.read(path) or ""):gmatch("([^\n]+)\n") do list[#list + 1] = line end
  return list
end

describe("a minute of messages", function()
  local missing = nsqd.missing()
  if missing then
    return pending("a minute of messages read back from nsqd: " .. missing)
  end

  local server, folders, agents

  local function start(output)
    local folder = program.folder()
    folders[#folders + 1] = folder
    if output.name == "file" then output.path = folder .. "/points" end
    local fixture = uv.cwd() .. "/tests/fixtures/linux-6.1"
    local path = program.configure(folder, {
      agent = { procfs = fixture .. "/proc", sysfs = fixture .. "/sys", rootfs = fixture, mininterval = 1,
        intervals = { CPU = 1, MEM = 1, DISK = 1, NET = 1 } },
      output = output,
    })
    agents[#agents + 1] = program.agent({ "start", "-f", path })
    return folder
  end

  before_each(function()
    folders, agents = {}, {}
    server = nsqd.start()
  end)
  after_each(function()
    for _, agent in ipairs(agents) do
      agent.kill()
      agent.wait()
    end
    for _, folder in ipairs(folders) do program.remove(folder) end
    server:stop()
  end)

  it("collected while nsqd was away arrives when it is back", function()
    server:halt("sigkill")
    local folder = start({ name = "nsq", servers = { "tcp://127.0.0.1:" .. server.tcp_port } })
    program.ready(folder, agents[1])
    program.wait("messages that wait", 20, function()
      local outbox = cjson.decode((program.curl(folder, "/me/status"))).outbox
      return outbox.messages + outbox.spooled >= 8
    end)
    server:launch()
    local kinds = {}
    for _, message in ipairs(server:read("collect.test.loda", 8, 30000)) do
      kinds[cjson.decode(message).points[1].measurement] = true
    end
    assert.is_true(kinds["agent.alive"])
    assert.is_true(kinds["mem.total"])
  end)

  for _, scheme in ipairs({ "tcp", "http" }) do
    it("read back from nsqd over " .. scheme .. " equals what the file output wrote", function()
      local port = scheme == "tcp" and server.tcp_port or server.http_port
      start({ name = "nsq", servers = { ("%s://127.0.0.1:%d"):format(scheme, port) } })
      local folder = start({ name = "file" })
      local wanted = 4 * ROUNDS
      program.wait("messages in the file", 30, function() return #lines(folder .. "/points") >= wanted end)
      local received = server:read("collect.test.loda", wanted, 30000)
      assert.same(set_of(lines(folder .. "/points")), set_of(received))
    end)
  end
end)
