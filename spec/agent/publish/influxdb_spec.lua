local influxdb = require("agent.publish.influxdb")

local conf = { url = "http://user:secret@db:8086", org = "", bucket = "", user = "", auth = "basic", password = "",
  token = "", batchsize = 2 ^ 20, tlsca = "", tlscert = "", tlskey = "" }

-- A clock, timers that fire when it is moved, and workers that do what the spec says.
local function world()
  local self = { now = 100, timers = {}, workers = {}, log = {} }
  local function after(seconds, fn)
    local timer = { at = self.now + seconds, fn = fn, cancel = function(one) one.off = true end }
    table.insert(self.timers, timer)
    return timer
  end
  local function run(name, request, options, callback)
    assert(name == "influxdb")
    if self.no_start then
      callback({ code = "spawn", message = "no process" })
      return nil
    end
    local worker = { request = request, jobs = {}, emit = options.on_item, finish = callback }
    function worker.send(_, job)
      table.insert(worker.jobs, job)
      return true
    end
    function worker.kill() worker.killed = true end
    function worker.pid() return 4711 end
    table.insert(self.workers, worker)
    return worker
  end
  local function record(level)
    return function(part, message, fields) table.insert(self.log, { level, part, message, fields }) end
  end
  self.output = influxdb.new(conf, { clock = { mono = function() return self.now end,
    wall = function() return 1e9 + self.now end }, after = after, run = run, random = function() return 0.5 end,
    ack_ms = 5000, log = { error = record("error"), warning = record("warning"), info = record("info") } })
  function self.pass(seconds)
    self.now = self.now + seconds
    for _, timer in ipairs(self.timers) do
      if not timer.off and timer.at <= self.now then
        timer.off = true
        timer.fn()
      end
    end
  end
  return self
end

local function batch(...)
  local messages, bytes = {}, 0
  for i, body in ipairs({ ... }) do
    messages[i] = { "head ", body }
    bytes = bytes + 5 + #body
  end
  return { topic = "collect.a", messages = messages, bytes = bytes }
end

local function fine(id, more)
  local result = { id = id, stored = 1, dropped = {}, bad = {} }
  for key, value in pairs(more or {}) do result[key] = value end
  return result
end

describe("the output influxdb", function()
  local it_is, answers

  before_each(function()
    it_is, answers = world(), {}
  end)

  local function send(number, one)
    it_is.output:send(one or batch("a"), function(err) answers[number] = err or "stored" end)
  end

  it("starts a worker when there is something to write, and hands it the bytes", function()
    assert.is_nil(it_is.workers[1])
    assert.is_true(it_is.output:room())
    send(1, batch("a", "b"))
    assert.same({ "head a", "head b" }, it_is.workers[1].jobs[1].messages)
    assert.equal(5000, it_is.workers[1].request.ack_ms)
    it_is.workers[1].emit(fine(1, { stored = 7 }))
    assert.equal("stored", answers[1])
    local status = it_is.output:status()
    assert.same({ "connected", 7, 0, 4711 }, { status.state, status.written_points, status.inflight, status.worker })
    assert.equal("http://db:8086", status.server)
  end)

  it("has two batches under way, and says when there is room again", function()
    local rooms = 0
    it_is.output.on_room = function() rooms = rooms + 1 end
    send(1)
    send(2)
    assert.is_false(it_is.output:room())
    send(3)
    assert.equal("EAGAIN", answers[3].code)
    it_is.workers[1].emit(fine(1))
    assert.equal(1, rooms)
    assert.is_true(it_is.output:room())
    it_is.workers[1].emit(fine(2))
    assert.same({ "stored", "stored" }, { answers[1], answers[2] })
  end)

  it("leaves a server alone after a failure, as long as it asks for", function()
    send(1)
    it_is.workers[1].emit(fine(1, { err = { code = "HTTP_429", message = "slow down", retry_after = 20 } }))
    assert.same({ code = "HTTP_429", message = "slow down", permanent = false }, answers[1])
    assert.is_false(it_is.output:room())
    assert.is_true(it_is.output:failing())
    it_is.pass(19)
    assert.is_false(it_is.output:room())
    it_is.pass(1)
    assert.is_true(it_is.output:room())
    assert.is_false(it_is.output:failing())
    send(2)
    it_is.workers[1].emit(fine(2, { err = { code = "HTTP_503", message = "x", retry_after = 1e9 } }))
    it_is.pass(300)
    assert.is_true(it_is.output:room())
  end)

  it("says what fails once a burst, and when it works again", function()
    for i = 1, 5 do
      send(i)
      it_is.workers[1].emit(fine(i, { err = { code = "connect", message = "refused" } }))
      it_is.pass(5)
    end
    assert.equal(1, #it_is.log)
    assert.equal("connect", it_is.output:status().last_error.code)
    assert.is_nil(it_is.log[1][4].url:find("secret", 1, true))
    it_is.pass(60)
    send(6)
    it_is.workers[1].emit(fine(6, { err = { code = "connect", message = "refused" } }))
    assert.same({ "warning", 5 }, { it_is.log[2][1], it_is.log[2][4].count })
    it_is.pass(5)
    send(7)
    it_is.workers[1].emit(fine(7))
    assert.equal("written again", it_is.log[3][3])
  end)

  it("counts the points that are refused for good, and acknowledges the others", function()
    for i = 1, 3 do
      send(i)
      it_is.workers[1].emit(fine(i, { dropped = { type_conflict = 2, backslash = 1 }, why = "it said so" }))
      assert.equal("stored", answers[i])
    end
    assert.same({ type_conflict = 6, backslash = 3 }, it_is.output:status().dropped_points)
    assert.equal(1, #it_is.log)
    assert.same({ "error", 3, "backslash,type_conflict", "it said so" },
      { it_is.log[1][1], it_is.log[1][4].count, it_is.log[1][4].cause, it_is.log[1][4].reason })
  end)

  it("refuses what is no message, alone", function()
    local one = batch("a", "b", "c")
    send(1, one)
    it_is.workers[1].emit(fine(1, { bad = { 2 }, why = "not JSON" }))
    assert.is_true(answers[1].permanent)
    assert.equal(1, #answers[1].refused)
    assert.equal(one.messages[2], answers[1].refused[1])
  end)

  it("fails what a worker had in hand when it ends, and starts another after a while", function()
    send(1)
    send(2)
    it_is.workers[1].finish({ code = "crashed", message = "worker influxdb: killed by signal 11" })
    assert.same({ "crashed", "crashed" }, { answers[1].code, answers[2].code })
    assert.is_false(answers[1].permanent)
    assert.is_false(it_is.output:room())
    it_is.pass(4)
    send(3)
    it_is.workers[2].emit(fine(3))
    assert.equal("stored", answers[3])
  end)

  it("kills a worker that is stuck, counting from when it could begin", function()
    send(1)
    it_is.pass(7)
    send(2)
    assert.is_nil(it_is.workers[1].killed)
    it_is.workers[1].emit(fine(1))
    it_is.pass(7.9)
    assert.is_nil(it_is.workers[1].killed)
    it_is.pass(0.2)
    assert.is_true(it_is.workers[1].killed)
    it_is.workers[1].finish({ code = "crashed", message = "killed by signal 9" })
    assert.equal("crashed", answers[2].code)
  end)

  it("fails when no worker can be started", function()
    it_is.no_start = true
    send(1)
    assert.equal("spawn", answers[1].code)
    assert.is_false(it_is.output:room())
  end)

  it("closes after its worker, and fails what is under way", function()
    local closed = 0
    send(1)
    it_is.output:close(function() closed = closed + 1 end)
    assert.equal("ECANCELED", answers[1].code)
    assert.is_true(it_is.workers[1].killed)
    assert.equal(0, closed)
    it_is.workers[1].finish(nil)
    assert.equal(1, closed)
    it_is.output:close(function() closed = closed + 1 end)
    assert.equal(2, closed)
    assert.is_false(it_is.output:room())
  end)
end)
