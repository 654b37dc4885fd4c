local publish = require("agent.publish")

local silent = setmetatable({}, { __index = function() return function() end end })

-- A publisher with outputs that do what the test says, on a clock that the test winds.
local function setup(...)
  local t = { now = 0, timers = {}, outputs = {} }
  local confs = {}
  for i, options in ipairs({ ... }) do
    local output = { sent = {}, room = function() return options.room ~= false end, close = function(_, fn) fn() end,
      status = function() return {} end }
    function output:send(batch, done) self.sent[#self.sent + 1] = { batch = batch, done = done } end
    package.loaded["agent.publish.fake" .. i] = { new = function() return output end }
    t.outputs[i] = output
    confs[i] = { name = "fake" .. i, ack = options.ack or 5, maxmemory = options.maxmemory or 1e6, buffersize = 100,
      required = options.required }
  end
  t.publisher = publish.new({ outputs = confs, log = silent, hostname = function() return "h" end,
    call = function(fn, ...) fn(...) end,
    soon = function(fn) return fn end,
    clock = { mono = function() return t.now end, wall = function() return 1700000000 end },
    after = function(seconds, fn)
      local timer = { at = t.now + seconds, fn = fn, cancel = function(self) self.cancelled = true end }
      t.timers[#t.timers + 1] = timer
      return timer
    end })
  function t.wind(seconds)
    t.now = t.now + seconds
    local due = t.timers
    t.timers = {}
    for _, timer in ipairs(due) do
      if timer.at > t.now then
        t.timers[#t.timers + 1] = timer
      elseif not timer.cancelled then
        timer.fn()
      end
    end
  end
  function t.publish(...)
    local answer = { times = 0 }
    t.publisher:publish("a.loda", { ... }, function(err) answer.times, answer.err = answer.times + 1, err end)
    t.wind(0)
    return answer
  end
  return t
end

describe("publishing", function()
  after_each(function()
    for i = 1, 3 do package.loaded["agent.publish.fake" .. i] = nil end
  end)

  it("hands the same bytes to every output", function()
    local t = setup({}, {})
    t.publisher:emit({ "a.loda", "b.loda" }, { { name = "x", value = 1 } })
    t.wind(0)
    local first, second = t.outputs[1].sent, t.outputs[2].sent
    assert.same({ 2, 2 }, { #first, #second })
    assert.equal("collect.a.loda", first[1].batch.topic)
    assert.same(first[1].batch.messages, second[1].batch.messages)
  end)

  it("acknowledges when every required output has all of it, and waits for no other", function()
    local t = setup({}, { required = false }, { required = true })
    local answer = t.publish("1", "2")
    t.outputs[1].sent[1].done()
    assert.equal(0, answer.times)
    t.outputs[3].sent[1].done()
    assert.same({ times = 1 }, answer)
    t.outputs[2].sent[1].done({ code = "E", permanent = true })
    assert.equal(1, answer.times)
  end)

  it("takes nothing where a required output has no room, and drops where another has none", function()
    local t = setup({}, { maxmemory = 10 })
    assert.equal("full", t.publish("1").err.code)
    assert.equal(0, #t.outputs[1].sent)
    t = setup({}, { maxmemory = 10, required = false })
    local answer = t.publish("1")
    t.outputs[1].sent[1].done()
    assert.same({ times = 1 }, answer)
    assert.equal(1, t.publisher:outboxes()[2].dropped.full)
  end)

  it("says when an acknowledgement doesn't come in time, with one timer for all who wait", function()
    local t = setup({ ack = 5 }, { ack = 50, required = false })
    local first = t.publish("1")
    t.wind(3)
    local second = t.publish("2")
    assert.equal(1, #t.timers)
    t.wind(2)
    assert.equal(0, first.times) -- the spool may still take it
    t.wind(5)
    assert.equal("timeout", first.err.code)
    assert.equal(0, second.times)
    t.outputs[1].sent[1].done()
    t.outputs[1].sent[2].done()
    assert.same({ times = 1 }, second)
    assert.equal(1, first.times)
    t.wind(3)
    assert.same({}, t.timers)
  end)

  it("tells of each output where there are several", function()
    local status = setup({}).publisher:status()
    assert.is_nil(status.outputs)
    status = setup({}, { required = false }).publisher:status()
    assert.same({ true, false }, { status.outputs[1].required, status.outputs[2].required })
    assert.equal(0, status.outbox.messages)
  end)
end)
