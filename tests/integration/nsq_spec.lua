-- The output `nsq` against a real nsqd.
local cjson = require("cjson")
local loop = require("loop")
local nsqd = require("nsqd")
local nsq = require("agent.publish.nsq")

local missing = nsqd.missing()
local with_nsqd = missing and function(name)
  pending(name .. " (" .. missing .. ")", function() end)
end or it

local function batches(topic, messages, size)
  local list = {}
  for at = 1, #messages, size do
    local batch = { topic = topic, messages = {}, bytes = 0 }
    for i = at, math.min(at + size - 1, #messages) do
      batch.messages[#batch.messages + 1] = { '{"head":1,"points":', messages[i] }
      batch.bytes = batch.bytes + #messages[i] + 19
    end
    list[#list + 1] = batch
  end
  return list
end

local function numbered(count, prefix)
  local messages = {}
  for i = 1, count do messages[i] = ("%s-%d-%s}"):format(prefix or "m", i, ("x"):rep(i % 300)) end
  return messages
end

-- What the outbox does, in short: sends while there is room, sends again what failed. Returns a table whose
-- `acknowledged` counts batches.
local function publish(output, list)
  local queue, run = { unpack(list) }, { acknowledged = 0, failures = {} }
  local pumping = false
  local function pump()
    if pumping then return end
    pumping = true
    while queue[1] and output:room() do
      local batch = table.remove(queue, 1)
      output:send(batch, function(err)
        if err then
          run.failures[#run.failures + 1] = err
          if not err.permanent then queue[#queue + 1] = batch end
        else
          run.acknowledged = run.acknowledged + 1
        end
      end)
    end
    pumping = false
  end
  output.on_room = pump
  pump()
  return run
end

-- How far it is, for a wait in vain.
local function progress(what, run, output)
  return function()
    return ("%s: %d batches acknowledged, %d failed, %s"):format(what, run.acknowledged, #run.failures,
      cjson.encode(output:status()))
  end
end

local function close(output)
  local closed = false
  output:close(function() closed = true end)
  loop.wait(function() return closed end, "the output to close")
end

local opened

local function open(servers)
  opened = assert(nsq.new({ servers = servers }, { clock = require("host.clock") }))
  return opened
end

local function expect_equal_sets(wanted, got)
  table.sort(wanted)
  table.sort(got)
  assert.are.equal(#wanted, #got)
  for i = 1, #wanted do assert.are.equal(wanted[i], got[i]) end
end

local function sent(messages)
  local list = {}
  for i, message in ipairs(messages) do list[i] = '{"head":1,"points":' .. message end
  return list
end

describe("output nsq with a real nsqd", function()
  after_each(function()
    if opened then close(opened) end
    opened = nil
    nsqd.stop_all()
    loop.drain()
  end)

  for _, kind in ipairs({ "tcp", "http", "bare" }) do
    with_nsqd("publishes 1000 messages over " .. kind .. " that read back equal", function()
      local server = nsqd.start()
      local name = ({ tcp = "tcp://127.0.0.1:" .. server.tcp_port,
        http = "http://127.0.0.1:" .. server.http_port, bare = "127.0.0.1:" .. server.http_port })[kind]
      local output = open({ name })
      local messages = numbered(1000)
      local list = batches("collect.web.shop.loda", messages, 37)
      list[#list + 1] = batches("collect.web.shop.loda", { "alone}" }, 1)[1]
      messages[#messages + 1] = "alone}"
      local run = publish(output, list)
      loop.wait(function() return run.acknowledged == #list end, "acknowledgements")
      assert.are.equal(1001, output:status().acknowledged_messages)
      assert.are.equal(0, output:status().inflight)
      assert.are.equal(0, #run.failures)
      expect_equal_sets(sent(messages), server:read("collect.web.shop.loda", 1001))
    end)
  end

  for _, kind in ipairs({ "tcp", "http" }) do
    with_nsqd("loses nothing when nsqd is restarted in between, over " .. kind, function()
      local server = nsqd.start()
      local output = open({ kind .. "://127.0.0.1:" .. server[kind .. "_port"] })
      local messages = numbered(3000, "first")
      local first = publish(output, batches("collect.a", messages, 10))
      loop.wait(function() return first.acknowledged >= 5 end,
        progress("some acknowledgements", first, output))
      server:halt()
      loop.wait(function() return not output:room() end, "the loss to be noticed")
      server:launch()
      loop.wait(function() return first.acknowledged == 300 end,
        progress("the rest to be sent again", first, output), 15000)
      local got = {}
      for _, message in ipairs(server:read("collect.a", 3000)) do got[message] = true end
      for _, message in ipairs(sent(messages)) do assert.is_true(got[message]) end
      assert.is_true(output:status().reconnects >= 1)
    end)
  end

  with_nsqd("goes over to the other server when one dies, without losing a message", function()
    local one, two = nsqd.start(), nsqd.start()
    local output = open({ "tcp://127.0.0.1:" .. one.tcp_port, "tcp://127.0.0.1:" .. two.tcp_port })
    local before = publish(output, batches("collect.b", numbered(50, "before"), 10))
    loop.wait(function() return before.acknowledged == 5 end, "acknowledgements")
    local first = output:status().server:find(":" .. one.tcp_port, 1, true) and one or two
    local second = first == one and two or one
    assert.are.equal(50, #first:read("collect.b", 50))
    first:halt("sigkill")
    local after = publish(output, batches("collect.b", numbered(50, "after"), 10))
    loop.wait(function() return after.acknowledged == 5 end, "acknowledgements by the other")
    expect_equal_sets(sent(numbered(50, "after")), second:read("collect.b", 50))
  end)

  for _, kind in ipairs({ "tcp", "http" }) do
    with_nsqd("drops only the message nsqd refuses, over " .. kind, function()
      local server = nsqd.start({ "--max-msg-size=1000" })
      local output = open({ kind .. "://127.0.0.1:" .. server[kind .. "_port"] })
      local messages = numbered(40)
      messages[23] = ("y"):rep(2000)
      local result
      loop.wait(function() return output:room() end, "the connection")
      output:send(batches("collect.c", messages, 40)[1], function(err) result = err or "acknowledged" end)
      loop.wait(function() return result end, "the answer", 15000)
      assert.is_true(result.permanent)
      assert.are.same({ messages[23] }, { result.refused[1][2], result.refused[2] })
      assert.are.equal(1, output:status().dropped_messages)
      table.remove(messages, 23)
      expect_equal_sets(sent(messages), server:read("collect.c", 39))
    end)
  end

  with_nsqd("splits what is more than one body of nsqd takes", function()
    local server = nsqd.start()
    local output = open({ "tcp://localhost:" .. server.tcp_port })
    local messages = {}
    for i = 1, 9 do messages[i] = tostring(i):rep(1000000) end
    loop.wait(function() return output:room() end, "the connection")
    local result
    output:send(batches("collect.d", messages, 9)[1], function(err) result = err or "acknowledged" end)
    loop.wait(function() return result end, "the answer", 15000)
    assert.are.equal("acknowledged", result)
    expect_equal_sets(sent(messages), server:read("collect.d", 9))
  end)
end)
