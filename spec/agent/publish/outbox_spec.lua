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
  t.spilled = {}
  t.output.join_bytes = options.join_bytes
  t.output.failing = options.spool and function() return t.failing end or nil
  t.outbox = Outbox.new({
    output = t.output, max_bytes = options.max_bytes or 1e6, max_messages = options.max_messages or 1000,
    batch_bytes = options.batch_bytes, log = silent, now = function() return t.now end,
    call = function(fn, ...) pcall(fn, ...) end,
    random = function() return 1 end,
    spill = options.spool and function(batch, done)
      if t.spool_refuses then return false end
      t.spilled[#t.spilled + 1] = { batch = batch, done = done }
      return true
    end,
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

local function spilled_bodies(t)
  local list = {}
  for i, one in ipairs(t.spilled) do list[i] = bodies(one.batch) end
  return list
end

describe("the outbox with a spool", function()
  it("hands a batch that failed to it, and tells the producer when it is safe there", function()
    local t = setup({ spool = true })
    local answer
    t.put("a", "1", function(err) answer = err or "safe" end)
    t.sent[1].done({ code = "closed" })
    assert.same({ "1" }, spilled_bodies(t))
    assert.is_nil(answer)
    assert.equal(2, t.outbox.bytes)
    t.spilled[1].done()
    assert.equal("safe", answer)
    assert.same({ 0, 0, 1, 0 }, { t.outbox.bytes, t.outbox.messages, t.outbox.spooled, t.outbox.published })
  end)

  it("keeps in memory what it doesn't take, or fails to write, and sends it later", function()
    local t = setup({ spool = true })
    t.spool_refuses = true
    t.put("a", "1")
    t.sent[1].done({ code = "closed" })
    assert.equal(0, #t.spilled)
    t.fire()
    assert.equal("1", bodies(t.sent[2].batch))
    t.spool_refuses = false
    t.sent[2].done({ code = "closed" })
    t.spilled[1].done({ code = "ENOSPC" })
    t.spool_refuses = true
    while not t.sent[3] do t.fire() end
    assert.equal("1", bodies(t.sent[3].batch))
    t.sent[3].done()
    assert.same({ 0, 1 }, { t.outbox.messages, t.outbox.published })
  end)

  it("hands over what waits behind a failing output, gathered for a moment", function()
    local t = setup({ spool = true, window = 0 })
    t.failing = true
    t.put("a", "1")
    t.put("b", "2")
    t.put("a", "3")
    assert.equal(0, #t.spilled)
    assert.equal(0.05, t.fire())
    local got = spilled_bodies(t)
    table.sort(got)
    assert.same({ "1 3", "2" }, got)
    t.spilled[1].done()
    t.spilled[2].done()
    assert.equal(0, #t.timers)
    assert.is_nil(next(t.outbox.topics))
  end)

  it("hands over what has waited too long behind a batch without an answer, not before", function()
    local t = setup({ spool = true })
    t.put("a", "1")
    t.put("a", "2")
    t.now = 4
    t.fire()
    assert.equal(0, #t.spilled)
    t.now = 5
    t.fire()
    assert.same({ "2" }, spilled_bodies(t))
  end)

  it("hands over when memory gets short, so that there is room for what comes", function()
    local t = setup({ spool = true, window = 1, max_bytes = 100, batch_bytes = 20 })
    for i = 1, 9 do t.put("a", ("%08d"):format(i)) end
    t.fire()
    assert.is_true(#t.spilled > 0)
    assert.is_true(t.outbox.bytes - t.outbox.spilling <= 50)
    for _, one in ipairs(t.spilled) do one.done() end
    assert.is_true(t.outbox:fits(1, 40))
    assert.same({}, t.outbox.dropped)
  end)

  it("looks ever more rarely where nothing can be done, and never when nothing waits", function()
    local t = setup({ spool = true, window = 0 })
    t.failing, t.spool_refuses = true, true
    t.put("a", "1")
    assert.equal(0.05, t.fire())
    local last = 0
    for _ = 1, 10 do last = t.fire() end
    assert.equal(2, last)
    t.spool_refuses = false
    t.fire()
    assert.same({ "1" }, spilled_bodies(t))
    t.spilled[1].done()
    assert.equal(0, #t.timers)
  end)

  it("logs a burst of drops at its begin and at its end", function()
    local lines = {}
    local t = setup({ max_bytes = 4 })
    t.outbox.log = setmetatable({}, { __index = function(_, level)
      return function(_, _, fields) lines[#lines + 1] = ("%s %s %d"):format(level, fields.reason, fields.messages) end
    end })
    t.put("a", "123")
    for _ = 1, 5 do t.put("a", "x") end
    assert.same({ "error full 1" }, lines)
    t.sent[1].done()
    assert.same({ "error full 1", "warning full 5" }, lines)
    assert.same({ full = 5 }, t.outbox.dropped)
  end)
end)

local function point(n) return ('[{"measurement":"m","fields":{"value":%d}}],"precision":"s"}'):format(n) end

describe("the outbox of an output that likes large messages", function()
  it("joins what gathered, and tells each producer", function()
    local t = setup({ join_bytes = 1000 })
    local answers = 0
    for i = 1, 4 do t.put("a", point(i), function() answers = answers + 1 end) end
    t.sent[1].done()
    assert.equal(1, #t.sent[2].batch.messages)
    assert.equal('[{"measurement":"m","fields":{"value":2}},{"measurement":"m","fields":{"value":3}},'
      .. '{"measurement":"m","fields":{"value":4}}],"precision":"s"}', bodies(t.sent[2].batch))
    t.sent[2].done()
    assert.same({ 4, 4, 0, 0 }, { answers, t.outbox.published, t.outbox.bytes, t.outbox.messages })
  end)

  it("sends them one by one when they are refused together", function()
    local t = setup({ join_bytes = 20000 })
    local answers = {}
    for i = 1, 3 do t.put("a", point(i), function(err) answers[i] = err and err.code or "ok" end) end
    t.sent[1].done()
    t.sent[2].done({ code = "E_BAD_MESSAGE", permanent = true, refused = { t.sent[2].batch.messages[1] } })
    assert.same({ "ok" }, answers)
    assert.same({}, t.outbox.dropped)
    assert.equal(2, #t.sent[3].batch.messages)
    t.sent[3].done({ code = "E_BAD_MESSAGE", permanent = true, refused = { t.sent[3].batch.messages[2] } })
    assert.same({ "ok", "ok", "E_BAD_MESSAGE" }, answers)
    assert.same({ E_BAD_MESSAGE = 1 }, t.outbox.dropped)
    assert.equal(10000, t.outbox.join_bytes)
    assert.same({ 0, 0 }, { t.outbox.bytes, t.outbox.messages })
  end)

  it("hands them apart to the spool", function()
    local t = setup({ join_bytes = 1000, spool = true })
    for i = 1, 3 do t.put("a", point(i)) end
    t.sent[1].done()
    t.sent[2].done({ code = "closed" })
    assert.equal(2, #t.spilled[1].batch.messages)
    t.spilled[1].done()
    assert.equal(0, t.outbox.bytes)
  end)
end)
