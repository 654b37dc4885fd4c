local log = require("host.log")
local program = require("program")
local uv = require("luv")

local folder

-- The log is one a process: each test takes it to its own directory, and gives it back.
local function setup(options)
  options.dir = folder
  assert(log.setup(options))
end

local function flushed()
  local done
  log.flush(function() done = true end)
  program.wait("the log to be written", 5, function() return done end)
  return program.read(folder .. "/agent.log") or ""
end

local function without_time(text)
  return (text:gsub("%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d%.%d%d%d%d%d%d ", ""))
end

describe("host.log", function()
  before_each(function() folder = program.folder() end)
  after_each(function()
    log.close(5000)
    uv.run("nowait")
    program.remove(folder)
  end)

  it("writes one line a record: time, level, part, message and sorted fields", function()
    setup({ level = "DEBUG" })
    log.info("outbox", "sent", { ns = "web.loda", bytes = 2 ^ 53, ok = true, took = 0.25, why = "a b" })
    log.fatal("a", "b")
    log.error("a", "b")
    log.warning("a", "b")
    log.debug("a", "two\nlines")
    local text = flushed()
    assert.truthy(text:find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d%.%d%d%d%d%d%d INFO outbox: sent "))
    assert.equal("INFO outbox: sent bytes=9007199254740992 ns=web.loda ok=true took=0.25 why=\"a b\"\n"
      .. "FATAL a: b\nERROR a: b\nWARNING a: b\nDEBUG a: two\\nlines\n", without_time(text))
  end)

  it("writes nothing below its level", function()
    setup({ level = "WARNING" })
    log.info("a", "quiet")
    log.debug("a", "quiet")
    log.warning("a", "loud")
    assert.is_true(log.enabled("ERROR"))
    assert.is_false(log.enabled("INFO"))
    assert.equal("WARNING a: loud\n", without_time(flushed()))
  end)

  it("writes JSON objects when asked to", function()
    setup({ format = "json" })
    log.error("a", 'say "x"', { n = 1 / 0, list = {}, level = 3 })
    local record = require("cjson").decode(flushed())
    assert.equal("ERROR", record.level)
    assert.equal('say "x"', record.message)
    assert.equal("inf", record.n)
    assert.equal("table", record.list)
    assert.equal(3, record.field_level)
    assert.truthy(record.time:find("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d+[+-]%d%d:%d%d$"))
  end)

  it("folds a repeating record into a count", function()
    setup({})
    for _ = 1, 1000 do log.info("a", "again", { n = 1 }) end
    log.info("a", "again", { n = 2 })
    log.info("b", "other")
    assert.equal("INFO a: again n=1\nINFO a: last message repeated 999 times\nINFO a: again n=2\nINFO b: other\n",
      without_time(flushed()))
  end)

  it("tells the count at the flush too", function()
    setup({})
    log.error("a", "x")
    log.error("a", "x")
    assert.equal("ERROR a: x\nERROR a: last message repeated 1 times\n", without_time(flushed()))
  end)

  it("rotates by size and keeps so many files", function()
    setup({ rotate_size = 200, rotate_count = 2 })
    for i = 1, 40 do
      log.info("a", ("record %02d"):format(i))
    end
    assert.truthy(flushed():find("record 40\n$"))
    assert.is_table(uv.fs_stat(folder .. "/agent.log.2"))
    assert.is_nil(uv.fs_stat(folder .. "/agent.log.3"))
    assert.is_true(uv.fs_stat(folder .. "/agent.log.1").size <= 200)
  end)

  it("goes elsewhere when it is set up again", function()
    setup({})
    log.info("a", "one")
    flushed()
    setup({ file = "other.log" })
    log.info("a", "two")
    flushed()
    assert.equal("INFO a: one\n", without_time(program.read(folder .. "/agent.log")))
    assert.equal("INFO a: two\n", without_time(program.read(folder .. "/other.log")))
  end)

  it("counts what a full disk loses", function()
    assert(uv.fs_symlink("/dev/full", folder .. "/agent.log"))
    setup({})
    log.info("a", "one")
    log.info("a", "two")
    local done
    log.flush(function() done = true end)
    program.wait("the log to give up", 5, function() return done end)
    assert.equal(2, log.lost())
  end)

  it("raises for what only a caller can get wrong", function()
    assert.has_error(function() log.info("a") end)
    assert.has_error(function() log.info("a", "b", "c") end)
    assert.has_error(function() log.setup({ level = "LOUD" }) end)
    assert.has_error(function() log.setup({ dir = folder, file = "../x" }) end)
    assert.has_error(function() log.setup({ rotate_size = -1 }) end)
  end)
end)
