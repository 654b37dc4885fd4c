local host = require("host")
local listeners = require("listeners")
local ports = require("host.ports")
local uv = require("luv")
local wait = require("wait")

local function check(list, ms)
  local answers
  ports.check(list, function(found) answers = found end)
  wait.until_true(function() return answers end, ms)
  return answers
end

-- Sockets of this machine to or from the port, by state as /proc/net/tcp writes it.
local function sockets(port)
  local states = {}
  local wanted = (":%04X "):format(port)
  for line in io.lines("/proc/net/tcp") do
    if line:find(wanted, 1, true) then
      local state = line:match("^%s*%d+: %x+:%x+ %x+:%x+ (%x+)")
      states[state] = (states[state] or 0) + 1
    end
  end
  return states
end

local function open_descriptors()
  local n = 0
  for _ in uv.fs_scandir_next, uv.fs_scandir("/proc/self/fd") do n = n + 1 end
  return n
end

describe("host.ports", function()
  local opened
  before_each(function() opened = {} end)
  after_each(function() for _, listener in ipairs(opened) do listener.close() end end)

  local function keep(listener)
    opened[#opened + 1] = listener
    return listener
  end

  it("tells an open port from a closed one, on either address", function()
    local v4, v6 = keep(listeners.listen()), keep(listeners.listen({ ipv6 = true }))
    local answers = check({ { v4.port, 3 }, { listeners.closed_port(), 3 }, { v6.port, 3 } })
    assert.is_true(answers[1] >= 0 and answers[1] < 1)
    assert.is_false(answers[2])
    assert.is_true(answers[3] >= 0 and answers[3] < 1)
  end)

  it("gives a port that never answers up after its own timeout", function()
    local slow, slower = keep(listeners.silent()), keep(listeners.silent())
    local at, answers = uv.hrtime(), nil
    ports.check({ { slow.port, 0.2 }, { slower.port, 0.4 } }, function(found) answers = found end)
    wait.until_true(function() return answers end)
    local took = (uv.hrtime() - at) / 1e9
    assert.same({ false, false }, answers)
    assert.is_true(took >= 0.4 and took < 0.8, took)
  end)

  it("takes one timeout for a thousand ports that never answer, without a stall of the loop", function()
    local list = {}
    for i = 1, 1000 do list[i] = { keep(listeners.silent()).port, 1 } end
    collectgarbage()
    check({}) -- the turn of the loop in which they were made ends here
    host.take_stall()
    local at = uv.hrtime()
    local answers = check(list, 8000)
    local took = (uv.hrtime() - at) / 1e9
    for i = 1, 1000 do assert.is_false(answers[i]) end
    assert.is_true(took >= 1 and took < 1.9, took)
    local stall = host.take_stall()
    assert.is_true(stall < 20, stall)
  end)

  it("leaves nothing behind: no half of a connection, no descriptor", function()
    local listener = keep(listeners.listen({ backlog = 128 }))
    local before = open_descriptors()
    for _ = 1, 20 do check({ { listener.port, 1 } }) end
    uv.run("nowait")
    assert.same({ ["0A"] = 1 }, sockets(listener.port)) -- the listener; neither end of a connection
    assert.are.equal(before, open_descriptors())
  end)

  it("takes an answer that came in time though the loop was stalled", function()
    local listener = keep(listeners.silent())
    local answers
    ports.check({ { listener.port, 1.2 } }, function(found) answers = found end)
    uv.run("nowait")
    uv.run("nowait")
    listener.accept()
    local stalled_until = uv.hrtime() + 1.4e9 -- the kernel tries again after 1 s
    while uv.hrtime() < stalled_until do end
    wait.until_true(function() return answers end)
    assert.is_true(answers[1] and answers[1] >= 1)
  end)

  it("calls nobody after close", function()
    local listener = keep(listeners.silent())
    local before = open_descriptors()
    local running = ports.check({ { listener.port, 0.01 } }, function() error("was closed") end)
    uv.run("nowait")
    running:close()
    running:close()
    assert.same({ false }, check({ { listener.port, 0.05 } }))
    uv.run("nowait")
    assert.are.equal(before, open_descriptors())
  end)

  it("answers an empty list, later", function()
    assert.same({}, check({}))
  end)

  it("raises on a list that is none", function()
    for _, list in ipairs({ { 22 }, { { 0, 1 } }, { { 65536, 1 } }, { { 22, 0 } }, { { 22 } }, { { "x", 1 } },
      { { 22, 0 / 0 } } }) do
      assert.has_error(function() ports.check(list, print) end)
    end
    assert.has_error(function() ports.check({}) end)
  end)

  it("goes on when nobody holds the check", function()
    local listener = keep(listeners.silent())
    local answers
    ports.check({ { listener.port, 0.05 } }, function(found) answers = found end)
    collectgarbage()
    wait.until_true(function() return answers end)
    collectgarbage()
  end)
end)
