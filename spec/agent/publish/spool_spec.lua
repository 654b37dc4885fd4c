local Disk = require("agent.publish.disk")
local Spool = require("agent.publish.spool")
local timer = require("agent.timer")
local uv = require("luv")
local wait = require("wait")

local DAY = 86400

-- A spool in a directory of its own, on clocks that the test winds.
local function setup(options)
  local t = { mono = 1000, wall = 1700000000, dropped = {}, logged = {} }
  t.folder = options and options.folder or assert(uv.fs_mkdtemp("/tmp/agent-test-XXXXXX"))
  t.directory = t.folder .. "/spool"
  local log = setmetatable({}, { __index = function(_, level)
    return function(_, message) t.logged[#t.logged + 1] = level .. " " .. message end
  end })
  function t.open()
    t.spool = Spool.new({ directory = t.directory, max_bytes = options and options.max_bytes or 1e9,
      max_age = options and options.max_age or 7 * DAY, disk = Disk.new(timer.after), log = log,
      host = options and options.host,
      now = function() return t.mono end, wall = function() return t.wall end, random = function() return 1 end,
      dropped = function(reason, messages) t.dropped[reason] = (t.dropped[reason] or 0) + messages end })
    return t.spool
  end
  t.open()
  -- Writes one message; returns the error or nil.
  function t.write(body, topic)
    local answer
    local batch = { topic = topic or "t", messages = { { "h", body } }, bytes = #body + 1 }
    t.spool:write(batch, function(err) answer = { err } end)
    wait.until_true(function() return answer end)
    return answer[1]
  end
  -- Reads and finishes every file; returns the bodies, those of a file behind the other.
  function t.drain()
    local bodies, done, read_on = {}, false, nil
    function read_on()
      t.spool:read(function(err, file, segment)
        assert.is_nil(err)
        if not file then
          done = true
          return
        end
        local topic, messages = segment:next(1e9)
        while topic do
          for _, message in ipairs(messages) do bodies[#bodies + 1] = message[2] end
          topic, messages = segment:next(1e9)
        end
        t.spool:finish(file, messages, read_on)
      end)
    end
    t.spool:open(function(err)
      assert.is_nil(err)
      read_on()
    end)
    wait.until_true(function() return done end)
    return table.concat(bodies, " ")
  end
  function t.close()
    local closed
    t.spool:close(function() closed = true end)
    wait.until_true(function() return closed end)
  end
  -- The next life: of the process, with the clock where the test put it.
  function t.again()
    t.close()
    return t.open()
  end
  function t.names(part)
    local names, found = {}, uv.fs_scandir(t.directory .. "/" .. (part or "new"))
    for name in function() return found and uv.fs_scandir_next(found) end do names[#names + 1] = name end
    table.sort(names)
    return names
  end
  function t.file(text, name, mode)
    local f = assert(io.open(t.directory .. "/new/" .. (name or t.names()[1]), mode or "wb"))
    f:write(text)
    f:close()
  end
  return t
end

describe("the spool's files", function()
  local t
  after_each(function()
    t.close()
    os.execute("chattr -i " .. t.directory .. " 2>/dev/null; rm -rf " .. t.folder)
    t = nil
  end)

  it("give back what was written, in order, in this life and in the next", function()
    t = setup()
    assert.is_nil(t.write("one"))
    assert.is_nil(t.write("two", "other"))
    assert.equal(1, #t.names())
    assert.equal("one two", t.drain())
    assert.same({}, t.names())
    assert.is_nil(t.write("three"))
    t.again()
    assert.is_nil(t.write("four"))
    assert.equal(2, #t.names())
    assert.equal("three four", t.drain())
    assert.same({ 0, 0 }, { t.spool:status().files, t.spool:status().bytes })
  end)

  it("are written in groups: what comes during a write goes with one more", function()
    t = setup()
    local left = 100
    for i = 1, 100 do
      t.spool:write({ topic = "t", messages = { { "h", tostring(i) } }, bytes = 3 }, function(err)
        assert.is_nil(err)
        left = left - 1
      end)
    end
    wait.until_true(function() return left == 0 end)
    assert.equal(100, t.spool:status().spooled)
    assert.equal(1, #t.names())
    assert.matches("^1 2 3 .* 100$", t.drain())
  end)

  it("are read whole up to where they are torn, and kept for a person then", function()
    t = setup()
    t.write("whole")
    t.write("torn")
    t.close()
    local path = t.directory .. "/new/" .. t.names()[1]
    local fd = assert(uv.fs_open(path, "r+", 0))
    uv.fs_ftruncate(fd, uv.fs_fstat(fd).size - 2)
    uv.fs_close(fd)
    t.open()
    assert.equal("whole", t.drain())
    assert.same({}, t.names())
    assert.equal(1, #t.names("bad"))
    assert.equal(1, t.spool:status().quarantined)
  end)

  it("are put away when they are foreign, of another version or of another kind, and the others still read", function()
    t = setup()
    t.write("mine")
    t.close()
    t.file("hello, I am something else", "000000000000-1700000000.spool")
    t.file("agspool\0\2\0\0\0\108\16\83\191later", "000000000005-1700000000.spool")
    t.file("", "000000000006-1700000000.spool")
    t.file("x", "somebody's notes")
    uv.fs_symlink("/etc/passwd", t.directory .. "/new/000000000007-1700000000.spool")
    t.open()
    assert.equal("mine", t.drain())
    assert.equal(5, #t.names("bad"))
    assert.equal(5, t.spool:status().quarantined)
  end)

  it("are appended to only where we left off", function()
    t = setup()
    t.write("one")
    t.file("somebody's bytes", nil, "ab")
    assert.is_nil(t.write("two"))
    assert.equal(2, #t.names())
    assert.equal("one two", t.drain())
    assert.equal(1, t.spool:status().quarantined)
  end)

  it("are dropped, the oldest first and counted, when they are too many bytes", function()
    t = setup({ max_bytes = 5 * 2 ^ 20 })
    for i = 1, 8 do assert.is_nil(t.write(tostring(i):rep(1024 * 1024))) end
    assert.is_true(t.spool:status().bytes <= 5 * 2 ^ 20)
    local first = t.drain():sub(1, 1)
    assert.is_true(t.dropped.spool_full >= 3)
    assert.equal(tostring(t.dropped.spool_full + 1), first)
  end)

  it("take no message that is larger than all of them may be, or than one can be", function()
    t = setup({ max_bytes = 1e6 })
    assert.equal("EFBIG", t.write(("x"):rep(1e6)).code)
    t.mono = t.mono + 60
    assert.equal("EMSGSIZE", t.write(("x"):rep(5e6)).code)
    assert.is_nil(t.write("x"))
  end)

  it("are dropped when they are too old, also at the next start", function()
    t = setup({ max_age = 100 })
    t.write("old")
    t.mono, t.wall = t.mono + 101, t.wall + 101
    t.write("new")
    assert.same({ spool_age = 1 }, t.dropped)
    t.mono, t.wall = t.mono + 50, t.wall + 50
    t.again()
    t.mono, t.wall = t.mono + 1, t.wall + 1e5
    assert.equal("new", t.drain())
    -- Their age at a start is by the wall clock, and by the file's time: both must say so.
    t.write("later")
    t.again()
    t.wall = uv.fs_stat(t.directory .. "/new/" .. t.names()[1]).mtime.sec + 101
    t.write("new again")
    t.mono = t.mono + 101
    assert.equal("", t.drain())
    assert.same({ spool_age = 3 }, t.dropped)
  end)

  it("are not dropped because a clock was set", function()
    t = setup({ max_age = 100 })
    t.wall = 10
    t.write("before the clock was right")
    t.wall = 1700000000
    assert.equal(0, t.spool:status().age)
    t.write("after")
    t.wall = 1700000000 - 5 * DAY
    t.again()
    t.write("in the past")
    t.wall = 1700000000 + 50 * DAY
    t.again()
    t.write("in the future")
    assert.equal("before the clock was right after in the past in the future", t.drain())
    assert.same({}, t.dropped)
  end)

  it("are made again when somebody removes the directory", function()
    t = setup()
    t.write("one")
    os.execute("rm -rf " .. t.directory)
    local err = t.write("two")
    if err then -- the first error is noticed; the next try makes all anew
      t.mono = t.mono + 60
      assert.is_nil(t.write("two"))
    end
    assert.equal("two", t.drain())
  end)

  it("are another agent's while that one holds the lock", function()
    t = setup()
    t.write("one")
    local other = setup({ folder = t.folder })
    local err = other.write("two")
    assert.equal("EBUSY", err.code)
    assert.matches("in use by process " .. uv.os_getpid(), err.message)
    assert.is_false(other.spool:usable())
    t.close()
    other.mono = other.mono + 60
    assert.is_true(other.spool:usable())
    assert.is_nil(other.write("two"))
    assert.equal("one two", other.drain())
    other.close()
    t.open()
  end)
end)

-- A store that answers as the test says, for what disks do seldom.
local function fake_host()
  local host = { answers = {}, calls = {} }
  local function operation(name)
    return function(_, ...)
      local arguments = { ... }
      local callback = arguments[#arguments]
      host.calls[#host.calls + 1] = name
      local answer = host.answers[name]
      if answer == "silence" then
        host.late = callback
        return
      end
      local idle = uv.new_idle()
      idle:start(function()
        idle:close()
        if answer then return callback({ code = answer, message = answer }) end
        callback(nil, name == "open" and { bad = 0, put_away = 0, more = false } or 100)
      end)
    end
  end
  local store = {}
  for _, name in ipairs({ "open", "commit", "read", "remove", "put_away", "close" }) do
    store[name] = operation(name)
  end
  function host.new() return store end
  function host.writer()
    local size = 0
    local function add(_, _, _, body)
      size = size + #body
      return true
    end
    return { add = add, size = function() return size end }
  end
  return host
end

describe("a disk that fails", function()
  local t, host
  before_each(function()
    host = fake_host()
    t = setup({ host = host })
  end)
  after_each(function() os.execute("rm -rf " .. t.folder) end)

  it("is told of once and left alone with growing pauses; then all is read anew", function()
    host.answers.commit = "EIO"
    assert.equal("EIO", t.write("x").code)
    assert.is_false(t.spool:usable())
    t.mono = t.mono + 1
    assert.is_true(t.spool:usable())
    assert.equal("EIO", t.write("x").code)
    t.mono = t.mono + 1
    assert.is_false(t.spool:usable())
    t.mono = t.mono + 1
    host.answers.commit = nil
    assert.is_nil(t.write("x"))
    assert.same({ "open", "commit", "open", "commit", "open", "commit" }, host.calls)
    assert.same({ "error the spool can't be used; messages stay in memory", "info the spool can be used again" },
      t.logged)
  end)

  it("holds one thread when it hangs; nobody waits for it any longer than the deadline", function()
    host.answers.commit = "silence"
    local began = uv.hrtime()
    local results = {}
    for i = 1, 3 do
      t.spool:write({ topic = "t", messages = { { "h", "x" } }, bytes = 2 }, function(err) results[i] = err.code end)
    end
    wait.until_true(function() return #results == 3 end, 10000)
    assert.is_true((uv.hrtime() - began) / 1e9 < 8)
    assert.same({ "ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT" }, results)
    t.mono = t.mono + 1000
    assert.is_false(t.spool:usable())
    assert.equal("hung", t.spool:status().state)
    assert.same({ "open", "commit" }, host.calls)
    host.answers.commit = nil
    host.late(nil, 100)
    assert.is_true(t.spool:usable())
    assert.is_nil(t.write("x"))
    assert.equal("ok", t.spool:status().state)
  end)

  it("doesn't have what is delivered read again when it can't be removed", function()
    assert.is_nil(t.write("x"))
    host.answers.remove = "EROFS"
    local finished
    t.spool:finish(t.spool.files[1], false, function() finished = true end)
    wait.until_true(function() return finished end)
    assert.equal("EROFS", t.spool:status().last_error.code)
    assert.is_true(t.spool:has_files())
    local function read()
      local answer
      t.spool.ready = true
      t.spool:read(function(err, file) answer = { err and err.code or "nothing", file } end)
      wait.until_true(function() return answer end)
      assert.is_nil(answer[2])
      return answer[1]
    end
    assert.equal("EROFS", read())
    host.answers.remove = nil
    assert.equal("nothing", read())
    assert.is_false(t.spool:has_files())
    assert.same({}, t.dropped)
  end)
end)
