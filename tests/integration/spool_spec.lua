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

  with_nsqd("takes what a frozen nsqd doesn't acknowledge in time", function()
    start({ ack = 1 })
    local posting = post_to()
    until_accepted(posting, 50)
    server.process:kill("sigstop")
    until_accepted(posting, #posting.accepted + 20)
    server.process:kill("sigcont")
    until_accepted(posting, #posting.accepted + 50)
    expect_all(posting)
    assert.same({ [200] = #posting.accepted }, posting.answers)
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

-- The same with disks that fail. The spool's directory is on them, and nothing else of the agent.
describe("a disk that fails under the spool", function()
  local disk, tmpfs
  before_each(function()
    folder, running, disk, tmpfs = program.folder(), {}, nil, nil
    server = not missing and nsqd.start({ "--mem-queue-size=0", "--sync-every=1" }) or nil
  end)
  after_each(function()
    if disk then disk:set("ok") end
    for _, agent in ipairs(running) do
      agent.kill()
      agent.wait()
    end
    nsqd.stop_all()
    if disk then disk:unmount() end
    if tmpfs then os.execute("umount -l " .. tmpfs) end
    program.remove(folder)
    loop.drain()
  end)

  local function faulty()
    local why
    disk, why = require("faulty_disk").mount(folder)
    if not disk then pending(why) end
    return disk
  end

  for _, mode in ipairs({ "eio", "enospc", "erofs", "hang" }) do
    with_nsqd("costs nobody anything while nsqd takes it all: " .. mode, function()
      if not faulty() then return end
      start({ spooldir = disk.path .. "/spool" })
      disk:set(mode)
      local posting = post_to()
      until_accepted(posting, 200)
      expect_all(posting)
      assert.same({ [200] = #posting.accepted }, posting.answers)
    end)

    with_nsqd("leaves messages in memory, and what was taken is delivered: " .. mode, function()
      if not faulty() then return end
      start({ spooldir = disk.path .. "/spool" })
      server:halt("sigterm")
      local posting = post_to()
      until_accepted(posting, 100) -- by the spool
      disk:set(mode)
      local taken = #posting.accepted
      program.wait("the spool to be found failing", 20, function()
        local now = status()
        assert.is_true(now.stall_ms < 500)
        return now.spool.state ~= "ok" and now.outbox.messages > 0
      end)
      assert.is_true(#posting.accepted <= taken + 10)
      posting.stopped = true
      disk:set("ok")
      server:launch()
      posting:stop()
      expect_all(posting)
      program.wait("an empty spool and outbox", 40, function()
        local now = status()
        return now.spool.files == 0 and now.outbox.messages == 0
      end)
      assert.same({}, status().outbox.dropped)
    end)
  end

  with_nsqd("has posts refused with 503 and Retry-After when memory is full, too", function()
    if not faulty() then return end
    start({ spooldir = disk.path .. "/spool", maxmemory = "64KiB", ack = 1 })
    server:halt("sigterm")
    disk:set("enospc")
    local posting = poster.start(folder .. "/agent.sock", 100)
    program.wait("refusals", 30, function() return (posting.answers[503] or 0) > 300 end)
    assert.is_true(status().outbox.bytes <= 65536)
    posting.stopped = true
    local curl = program.spawn("/usr/bin/curl", { "-si", "-m", "20", "--unix-socket", folder .. "/agent.sock", "-d",
      '[{"name":"n","value":1}]', "http://localhost/post?ns=a.loda" })
    curl.wait(20)
    assert.matches("^HTTP/1.1 503 ", curl.output)
    assert.matches("Retry%-After: %d+\r\n", curl.output)
    disk:set("ok")
    server:launch()
    posting:stop()
    expect_all(posting)
  end)

  with_nsqd("may be full: the spool goes on when there is room again", function()
    tmpfs = folder .. "/small"
    assert(uv.fs_mkdir(tmpfs, 493))
    if os.execute("mount -t tmpfs -o size=256k none " .. tmpfs .. " 2>/dev/null") ~= 0 then
      tmpfs = nil
      return pending("no right to mount a tmpfs")
    end
    start({ spooldir = tmpfs .. "/spool", maxmemory = "1MiB" })
    server:halt("sigterm")
    local posting = post_to()
    program.wait("a full disk", 30, function()
      local now = status()
      return now.spool and now.spool.state == "failing" and now.spool.last_error.code == "ENOSPC"
    end)
    os.execute("mount -o remount,size=8m " .. tmpfs)
    local taken = #posting.accepted
    until_accepted(posting, taken + 100)
    server:launch()
    expect_all(posting)
    program.wait("an empty spool", 30, function() return status().spool.files == 0 end)
  end)

  with_nsqd("may become read-only: what is there is delivered once, and removed when that is possible", function()
    if not faulty() then return end
    start({ spooldir = disk.path .. "/spool" })
    server:halt("sigterm")
    local posting = post_to()
    until_accepted(posting, 100)
    posting:stop()
    program.wait("all to be on disk", 10, function() return status().outbox.messages == 0 end)
    disk:set("erofs")
    server:launch()
    local numbers = expect_all(posting)
    assert.equal(#posting.accepted, #numbers)
    program.wait("the failure to remove", 10, function() return status().spool.state == "failing" end)
    local again = post_to()
    until_accepted(again, 100)
    numbers = expect_all(again)
    assert.equal(#again.accepted, #numbers)
    disk:set("ok")
    program.wait("an empty spool", 60, function() return status().spool.files == 0 end)
    assert.same({}, status().outbox.dropped)
  end)

  with_nsqd("may lose the spool's directory: it is made again", function()
    start()
    server:halt("sigterm")
    local posting = post_to()
    until_accepted(posting, 50)
    os.execute("rm -rf " .. folder .. "/state/spool")
    local taken = #posting.accepted
    until_accepted(posting, taken + 100)
    server:launch()
    posting:stop()
    -- What was in the directory is gone; what was taken after it is not.
    posting.accepted = { unpack(posting.accepted, taken + 50) }
    expect_all(posting)
  end)
end)
