local Outbox = require("agent.publish.outbox")

local silent = setmetatable({}, { __index = function() return function() end end })

-- An output that does what the test says, and an outbox on a clock that the test winds.
local function setup(options)
  local t = { now = 0, sent = {}, timers = {}, window = options and options.window or 100 }
  t.output = {
    send = function(_, batch, done)
      t.window = t.window - 1
      t.sent[#t.sent + 1] = { batch = batch, done = function(err)
        t.window = t.window + 1
        done(err)
      end }
    end,
    room = function() return t.window > 0 end,
  }
  options = options or {}
  t.outbox = Outbox.new({
    output = t.output, max_bytes = options.max_bytes or 1e6, max_messages = options.max_messages or 1000,
    batch_bytes = options.batch_bytes, log = silent, now = function() return t.now end,
    call = function(fn, ...) pcall(fn, ...) end,
    random = function() return 1 end,
    after = function(seconds, fn)
      local timer = { seconds = seconds, fn = fn, cancel = function(self) self.cancelled = true end }
      t.timers[#t.timers + 1] = timer
      return timer
    end,
  })
  function t.put(topic, body, done)
    local ok, why = t.outbox:put(topic, "h", body, done)
    t.outbox:pump()
    return ok, why
  end
  function t.fire()
    local timer = table.remove(t.timers, 1)
    if not timer.cancelled then timer.fn() end
    return timer.seconds
  end
  return t
end

local function bodies(batch)
  local out = {}
  for i, message in ipairs(batch.messages) do out[i] = message[2] end
  return table.concat(out, " ")
end

describe("the outbox", function()
  it("says whether several messages would fit together", function()
    local t = setup({ max_bytes = 10, max_messages = 3, window = 0 })
    assert.is_true(t.outbox:fits(3, 10))
    assert.is_false(t.outbox:fits(1, 11))
    assert.is_false(t.outbox:fits(4, 4))
    t.put("a", "123")
    assert.is_true(t.outbox:fits(2, 6))
    assert.is_false(t.outbox:fits(1, 7))
    assert.is_false(t.outbox:fits(3, 3))
  end)

  it("sends at once when idle, and tells the producer when it is acknowledged", function()
    local t = setup()
    local answers = 0
    t.put("a", "1", function(err)
      assert.is_nil(err)
      answers = answers + 1
    end)
    assert.equal(1, #t.sent)
    assert.equal(0, answers)
    t.sent[1].done()
    assert.equal(1, answers)
    assert.equal(0, t.outbox.bytes)
    assert.equal(0, t.outbox.messages)
    assert.equal(1, t.outbox.published)
  end)

  it("batches what came in meanwhile, in order, one batch of a topic at a time", function()
    local t = setup()
    for i = 1, 5 do t.put("a", tostring(i)) end
    assert.equal(1, #t.sent)
    t.sent[1].done()
    assert.equal(2, #t.sent)
    assert.equal("2 3 4 5", bodies(t.sent[2].batch))
    assert.equal(8, t.sent[2].batch.bytes)
  end)

  it("lets no topic wait for another", function()
    local t = setup()
    t.put("slow", "1")
    t.put("slow", "2")
    t.put("quick", "3")
    assert.equal("quick", t.sent[2].batch.topic)
  end)

  it("keeps batches below their size, but sends a message that alone is larger", function()
    local t = setup({ batch_bytes = 10 })
    t.put("a", "first")
    t.put("a", ("x"):rep(20))
    t.put("a", "1234")
    t.put("a", "5678")
    t.put("a", "9")
    for i = 1, 4 do t.sent[i].done() end
    assert.equal(("x"):rep(20), bodies(t.sent[2].batch))
    assert.equal("1234 5678", bodies(t.sent[3].batch))
    assert.equal("9", bodies(t.sent[4].batch))
  end)

  it("refuses what exceeds its bytes or messages, and says so", function()
    local t = setup({ max_bytes = 10, window = 0 })
    assert.is_true(t.put("a", "12345678"))
    local ok, why = t.put("a", "12")
    assert.is_nil(ok)
    assert.equal("full", why)
    assert.same({ full = 1 }, t.outbox.dropped)
    assert.is_nil((setup({ max_messages = 0 }).put("a", "1")))
  end)

  it("counts what is under way against its bounds", function()
    local t = setup({ max_bytes = 10 })
    t.put("a", "12345678")
    assert.equal(1, #t.sent)
    assert.is_nil((t.put("a", "12")))
    t.sent[1].done()
    assert.is_true(t.put("a", "12"))
  end)

  it("keeps what failed, in order, and tries again with growing pauses", function()
    local t = setup()
    t.put("a", "1")
    t.put("a", "2")
    t.sent[1].done({ code = "closed", message = "nsqd went away" })
    assert.equal(1, #t.sent)
    assert.equal(0.1, t.fire())
    assert.equal("1 2", bodies(t.sent[2].batch))
    t.put("a", "3")
    t.sent[2].done({ code = "closed" })
    assert.equal(0.2, t.fire())
    assert.equal("1 2 3", bodies(t.sent[3].batch))
    for _ = 1, 12 do
      t.sent[#t.sent].done({ code = "closed" })
      assert.is_true(t.fire() <= 30)
    end
    t.sent[#t.sent].done()
    assert.equal(3, t.outbox.published)
    t.put("a", "4")
    t.sent[#t.sent].done({ code = "closed" })
    assert.equal(0.1, t.fire())
  end)

  it("drops, counts and reports what the output will never take, and goes on", function()
    local t = setup()
    local said
    t.put("a", "bad", function(err) said = err end)
    t.put("a", "good")
    t.sent[1].done({ code = "E_BAD_TOPIC", permanent = true })
    assert.equal("E_BAD_TOPIC", said.code)
    assert.same({ E_BAD_TOPIC = 1 }, t.outbox.dropped)
    assert.equal("good", bodies(t.sent[2].batch))
  end)

  it("tells the refused messages of a batch from those that got through", function()
    local t = setup({ window = 0 })
    local answers = {}
    for i = 1, 3 do t.put("a", tostring(i), function(err) answers[i] = err or "ok" end) end
    t.window = 1
    t.outbox:pump()
    local err = { code = "MSG_TOO_BIG", permanent = true, refused = { t.sent[1].batch.messages[2] } }
    t.sent[1].done(err)
    assert.same({ "ok", err, "ok" }, answers)
    assert.equal(2, t.outbox.published)
    assert.same({ MSG_TOO_BIG = 1 }, t.outbox.dropped)
    assert.equal(0, t.outbox.bytes)
  end)

  it("waits for room and goes on when the output says so", function()
    local t = setup({ window = 1 })
    t.put("a", "1")
    t.put("b", "2")
    assert.equal(1, #t.sent)
    t.sent[1].done()
    assert.equal(2, #t.sent)
    t.window = 0
    t.put("c", "3")
    t.window = 1
    t.outbox:pump()
    assert.equal("c", t.sent[3].batch.topic)
  end)

  it("survives a callback that raises", function()
    local t = setup()
    t.put("a", "1", function() error("boom") end)
    t.sent[1].done()
    t.put("a", "2")
    t.sent[2].done()
    assert.equal(2, t.outbox.published)
  end)

  it("sends in a loop when the output answers at once", function()
    local t = setup({ batch_bytes = 1 })
    local order = {}
    t.output.send = function(_, batch, done)
      order[#order + 1] = bodies(batch)
      done()
    end
    for i = 1, 3 do t.outbox:put("a", "h", tostring(i)) end
    t.outbox:pump()
    assert.same({ "1", "2", "3" }, order)
    assert.is_nil(next(t.outbox.topics))
  end)

  it("drains: at once when empty, after the last answer, or at the deadline with what is left", function()
    local left
    local t = setup()
    t.outbox:drain(5, function(n) left = n end)
    assert.equal(0, left)

    t = setup()
    left = nil
    t.put("a", "1")
    t.outbox:drain(5, function(n) left = n end)
    assert.is_nil(left)
    t.sent[1].done()
    assert.equal(0, left)

    t = setup()
    left = nil
    t.put("a", "1")
    t.outbox:drain(5, function(n) left = n end)
    assert.equal(5, t.fire())
    assert.equal(1, left)
  end)
end)
