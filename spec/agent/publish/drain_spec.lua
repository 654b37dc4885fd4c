local Drain = require("agent.publish.drain")

-- A spool of files, each a list of batches { topic, { bodies } }, and an output that does what the test says.
local function setup(files, options)
  local t = { now = 0, sent = {}, timers = {}, finished = {}, room = true, dropped = 0, delivered = 0 }
  local output = { room = function() return t.room end, send = function(_, batch, done)
    t.sent[#t.sent + 1] = { batch = batch, done = done }
  end }
  local outbox = { output = output, join_bytes = 0, delivered = function(_, n) t.delivered = t.delivered + n end,
    refused = function(_, batch, err)
      if not t.again then t.dropped = t.dropped + #err.refused end
      return t.again and table.remove(t.again, 1) or {}, t.again and 0 or #err.refused, batch
    end }
  local spool = { open = function(_, fn) fn(t.open_error) end, has_files = function() return files[1] ~= nil end,
    read = function(_, fn)
      if t.read_error then return fn(t.read_error) end
      local file = files[1]
      if not file then return fn() end
      local at = 0
      fn(nil, file, { close = function() end, next = function(_, max)
        t.max, at = max, at + 1
        local batch = file[at]
        if not batch then return nil, file.torn or false end
        local messages = {}
        for i, body in ipairs(batch[2]) do messages[i] = { "h", body } end
        return batch[1], messages, #messages * 2
      end })
    end,
    finish = function(_, file, torn, fn)
      t.finished[#t.finished + 1] = torn and "torn" or "whole"
      assert(table.remove(files, 1) == file)
      fn()
    end, release = function() t.released = true end }
  t.drain = Drain.new({ spool = spool, outbox = outbox, now = function() return t.now end,
    random = function() return options and options.random or 1 end,
    after = function(seconds, fn)
      local timer = { seconds = seconds, fn = fn, cancel = function(self) self.cancelled = true end }
      t.timers[#t.timers + 1] = timer
      return timer
    end })
  function t.fire()
    local timer = table.remove(t.timers, 1)
    if not timer.cancelled then timer.fn() end
    return timer.seconds
  end
  return t
end

local function topics(t)
  local list = {}
  for i, one in ipairs(t.sent) do list[i] = one.batch.topic end
  return table.concat(list, " ")
end

describe("draining the spool", function()
  it("sends file after file, a batch at a time, and lets go of a file after its last answer", function()
    local t = setup({ { { "a", { "1" } }, { "b", { "2", "3" } } }, { { "c", { "4" } }, torn = true } })
    t.drain:kick()
    t.drain:kick()
    assert.equal("a", topics(t))
    t.sent[1].done()
    assert.equal("a", topics(t))
    t.fire()
    assert.equal("a b", topics(t))
    assert.same({}, t.finished)
    t.sent[2].done()
    t.fire()
    assert.same({ "whole" }, t.finished)
    t.sent[3].done()
    t.fire()
    assert.same({ "whole", "torn" }, t.finished)
    assert.is_true(t.drain:idle())
    assert.equal(4, t.delivered)
    assert.equal(0, #t.timers)
  end)

  it("rests a third of the time that an answer took, and sends less where it takes long", function()
    local t = setup({ { { "a", { "1" } }, { "a", { "2" } }, { "a", { "3" } } } })
    t.drain:kick()
    local first = t.max
    t.now = 0.6
    t.sent[1].done()
    assert.near(0.2, t.fire(), 1e-9)
    assert.equal(first / 2, t.max)
    t.sent[2].done()
    assert.equal(0.005, t.fire())
    assert.equal(first, t.max)
  end)

  it("sends a batch that failed again, with growing pauses", function()
    local t = setup({ { { "a", { "1" } }, { "b", { "2" } } } })
    t.drain:kick()
    t.sent[1].done({ code = "closed" })
    assert.equal(0.1, t.fire())
    t.sent[2].done({ code = "closed" })
    assert.equal(0.2, t.fire())
    t.sent[3].done()
    t.fire()
    assert.equal("a a a b", topics(t))
    assert.equal(1, t.delivered)
  end)

  it("waits while the output has no room", function()
    local t = setup({ { { "a", { "1" } } } })
    t.room = false
    t.drain:kick()
    assert.equal(0, #t.sent + #t.timers)
    t.room = true
    t.drain:kick()
    assert.equal(1, #t.sent)
  end)

  it("goes on behind what is refused for good, and sends apart what was joined", function()
    local t = setup({ { { "a", { "1", "2" } }, { "b", { "3" } } } })
    t.drain:kick()
    t.sent[1].done({ code = "E", permanent = true, refused = { t.sent[1].batch.messages[1] } })
    assert.same({ 1, 1 }, { t.dropped, t.delivered })
    t.again = { { { "h", "x" }, { "h", "y" } } }
    t.fire()
    t.sent[2].done({ code = "E", permanent = true, refused = { t.sent[2].batch.messages[1] } })
    t.fire()
    t.sent[3].done()
    t.fire()
    t.sent[4].done()
    t.fire()
    assert.equal("a b b b", topics(t))
    assert.same({ "whole" }, t.finished)
  end)

  it("tries again later when the disk can't be read", function()
    local t = setup({ { { "a", { "1" } } } })
    t.open_error = { code = "EBUSY" }
    t.drain:kick()
    assert.equal(1, #t.timers)
    t.open_error, t.read_error = nil, { code = "EIO" }
    t.fire()
    assert.equal(1, #t.timers)
    t.read_error = nil
    t.fire()
    assert.equal(1, #t.sent)
  end)

  it("leaves on disk what is not acknowledged when it is closed", function()
    local t = setup({ { { "a", { "1" } } } })
    t.drain:kick()
    t.drain:close()
    assert.is_true(t.released)
    t.sent[1].done()
    t.drain:kick()
    assert.same({}, t.finished)
    assert.equal(1, #t.sent)
  end)
end)
