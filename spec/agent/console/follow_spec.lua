local follow = require("agent.console.follow")

-- A client whose one exchange the test plays, and a follower of it; log tells what it did.
local function start()
  local log, client, timers = {}, { asked = 0 }, {}
  function client:ask(request, done)
    self.asked = self.asked + 1
    self.request, self.done = request, done
    return { close = function() self.closed = true end }
  end
  function client:watch(failed)
    self.failed = failed
    return { close = function() self.failed = nil end }
  end
  local function note(what)
    return function(value) log[#log + 1] = ("%s %s"):format(what, tostring(value.code or value.status)) end
  end
  follow.new({ client = client, target = "/tail", on_line = function(line) log[#log + 1] = line end,
    on_event = function(what, err) log[#log + 1] = what .. (err and " " .. err.code or "") end,
    on_refused = note("refused"), unreachable = note("unreachable"),
    after = function(seconds, fn) table.insert(timers, { seconds = seconds, fn = fn }) end }):start()
  return client, log, timers
end

describe("following", function()
  it("gives whole lines, however they come", function()
    local client, log = start()
    client.request.on_head(200)
    for _, bytes in ipairs({ "on", "e\ntwo\n\nth", "ree", "\n", "four\nfi" }) do client.request.on_body(bytes) end
    assert.same({ "one", "two", "three", "four" }, log)
  end)

  it("does not gather a line without end", function()
    local client, log = start()
    client.request.on_head(200)
    for _ = 1, 40 do client.request.on_body(("x"):rep(65536)) end
    client.request.on_body("\nnext\n")
    assert.equal("next", log[#log])
    assert.is_true(#log[1] <= 1024 * 1024 + 65536)
  end)

  it("ends where it can't begin", function()
    local client, log = start()
    client.done({ code = "ENOENT" })
    assert.same({ "unreachable ENOENT" }, log)
    client, log = start()
    client.done(nil, { status = 403 })
    assert.same({ "refused 403" }, log)
  end)

  it("tries again when the agent goes, ever more slowly, and tells once", function()
    local client, log, timers = start()
    client.request.on_head(200)
    client.request.on_body("one\nhal")
    client.done({ code = "ECONNRESET" })
    for i = 1, 6 do
      assert.equal(i, #timers)
      timers[i].fn()
      client.done({ code = "ECONNREFUSED" })
    end
    assert.equal(0.5, timers[1].seconds)
    assert.equal(5, timers[7].seconds)
    timers[7].fn()
    client.request.on_head(200)
    client.request.on_body("two\n")
    assert.same({ "one", "lost ECONNRESET", "connected", "two" }, log)
    client.done(nil, { status = 200 })
    assert.equal("lost EOF", log[5])
    assert.equal(0.5, timers[8].seconds)
  end)

  it("goes by the watch when the agent says nothing at all", function()
    local client, log, timers = start()
    client.request.on_head(200)
    client.failed({ code = "ETIMEDOUT" })
    assert.is_true(client.closed)
    assert.same({ "lost ETIMEDOUT" }, log)
    assert.equal(1, #timers)
  end)
end)
