-- What was answered with 200 arrives, whatever happens to nsqd, to the agent and to the disk.

local cjson = require("cjson")
local loop = require("loop")
local nsqd = require("nsqd")
local poster = require("poster")
local program = require("program")
local uv = require("luv")

local missing = nsqd.missing()
local with_nsqd = missing and function(name) pending(name .. " (" .. missing .. ")", function() end) end or it

local TOPIC = "collect.a.loda"
local folder, running, server

local function start(output)
  local all = { name = "nsq", servers = { "tcp://127.0.0.1:" .. server.tcp_port }, ack = 2 }
  for key, value in pairs(output or {}) do all[key] = value end
  local agent = program.agent({ "start", "-f", program.configure(folder, { output = all }) })
  running[#running + 1] = agent
  program.wait("the agent", 10, function()
    assert(not agent.code, agent.output)
    return agent.output:find("agent: started", 1, true)
  end)
  return agent
end

local function end_agent(agent, signal)
  agent.kill(signal)
  agent.wait(8)
end

local function status()
  return cjson.decode((program.curl(folder, "/me/status")))
end

local function post_to()
  return poster.start(folder .. "/agent.sock", 5, 2)
end

local function until_accepted(posting, count)
  program.wait("posts to be taken", 20, function() return #posting.accepted >= count end)
end

-- Stops posting and waits until all that was taken is in nsqd; returns the numbers there, in order.
local function expect_all(posting)
  if not posting.stopped then posting:stop() end
  return poster.numbers(server:read_until(TOPIC, posting:all_in(), 20000))
end

local function files(part)
  local names = {}
  local found = uv.fs_scandir(folder .. "/state/spool/" .. part)
  for name in function() return found and uv.fs_scandir_next(found) end do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("the spool", function()
  before_each(function()
    folder, running = program.folder(), {}
    server = not missing and nsqd.start({ "--mem-queue-size=0", "--sync-every=1" }) or nil
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

  with_nsqd("is not touched, and the order within a topic kept, while all is well", function()
    start()
    local posting = poster.start(folder .. "/agent.sock", 1)
    until_accepted(posting, 500)
    local numbers = expect_all(posting)
    for i, number in ipairs(numbers) do assert.equal(i, number) end
    assert.is_nil(uv.fs_stat(folder .. "/state/spool"))
    assert.is_nil(status().spool)
  end)

  with_nsqd("takes what is posted while nsqd is down, and delivers it when it is back", function()
    start()
    local posting = post_to()
    until_accepted(posting, 200)
    server:halt("sigkill")
    until_accepted(posting, #posting.accepted + 300)
    assert.is_true(#files("new") > 0)
    server:launch()
    until_accepted(posting, #posting.accepted + 200)
    expect_all(posting)
    assert.same({ [200] = #posting.accepted }, posting.answers)
    program.wait("the spool to be empty", 10, function() return #files("new") == 0 end)
    local now = status()
    assert.same({ 0, 0, 0 }, { now.outbox.messages, now.spool.files, now.spool.bytes })
    assert.same({}, now.outbox.dropped)
  end)

  with_nsqd("survives a SIGKILL of the agent", function()
    local agent = start()
    server:halt("sigkill")
    local posting = post_to()
    until_accepted(posting, 300)
    end_agent(agent, "sigkill")
    agent = start()
    until_accepted(posting, 400)
    end_agent(agent, "sigkill")
    posting:stop()
    server:launch()
    start()
    expect_all(posting)
    program.wait("the spool to be empty", 10, function() return #files("new") == 0 end)
    assert.same({}, files("bad"))
  end)

  with_nsqd("takes what is not acknowledged at TERM, in time", function()
    local agent = start({ ack = 30 })
    server.process:kill("sigstop")
    local posting = post_to()
    program.wait("messages that wait", 10, function() return status().outbox.messages >= 5 end)
    local began = uv.hrtime()
    posting.stopped = true
    end_agent(agent, "sigterm")
    assert.is_true((uv.hrtime() - began) / 1e9 < 5)
    assert.equal(0, agent.code)
    assert.is_true(#files("new") > 0)
    server.process:kill("sigcont")
    start()
    server:read_until(TOPIC, function(messages) return #poster.numbers(messages) >= 5 end)
  end)
end)
