-- builtin/logwatch.lua over real files: what is counted, and that rotation neither doubles nor loses a line.

local program = require("program")
local shipped = require("shipped")
local uv = require("luv")

local function plain(stat)
  return stat and { size = stat.size, mtime = stat.mtime.sec, inode = stat.ino, device = stat.dev, type = stat.type,
    born = stat.birthtime.sec + stat.birthtime.nsec / 1e9 }
end

local function code_of(why) return why:match("^%u+") end

-- The calls of ctx for files, without a worker.
local files = { regex = require("host.regex").new }

function files.open(path)
  local fd, why = uv.fs_open(path, "r", 0)
  if not fd then return nil, why, code_of(why) end
  local file = {}
  function file.stat() return plain(uv.fs_fstat(fd)) end
  function file.read(_, most, offset) return uv.fs_read(fd, most, offset or 0) end
  function file.close() uv.fs_close(fd) end
  return file
end

function files.stat(path) return plain(uv.fs_stat(path)) end

function files.list(path)
  local entries, why = uv.fs_scandir(path)
  if not entries then return nil, why, code_of(why) end
  local names = {}
  for name in function() return uv.fs_scandir_next(entries) end do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("builtin logwatch", function()
  local logwatch = shipped.load("logwatch")
  local folder, log, ctx

  before_each(function()
    folder = program.folder()
    log, ctx = folder .. "/app.log", shipped.ctx(files)
    function ctx.now()
      local seconds, micro = uv.gettimeofday()
      return seconds + micro / 1e6
    end
  end)
  after_each(function() program.remove(folder) end)

  local function append(text, path)
    local f = assert(io.open(path or log, "a"))
    f:write(text)
    f:close()
  end

  local function run(given)
    given = given or { pattern = "ERROR" }
    given.path = given.path or log
    local list, why = logwatch.run(shipped.params(logwatch, given), ctx)
    ctx.state = require("string.buffer").decode(require("string.buffer").encode(ctx.state)) -- as between two runs
    return list, why
  end

  local function count(given) return shipped.value(assert(run(given)), "cnt") end

  it("counts the lines that came since the run before, from the end of what was there", function()
    append("ERROR old\nERROR half")
    assert.equal(0, count())
    append(" of a line\nfine\nERROR one\nERROR tw")
    assert.equal(1, count())
    append("o\n")
    assert.equal(1, count())
    assert.equal(0, count())
  end)

  it("begins a file that appears later at its start, and one from the start when asked", function()
    assert.equal(0, count())
    append("ERROR 1\nERROR 2\n")
    assert.equal(2, count())
    ctx.state = {}
    assert.equal(2, count({ pattern = "ERROR", from = "start" }))
  end)

  it("reads the rest of a renamed file, and what is written to it afterwards", function()
    append("x\n")
    count()
    append("ERROR rest\n")
    os.rename(log, log .. ".1")
    append("ERROR new\n")
    assert.equal(2, count())
    append("ERROR late\n", log .. ".1")
    os.rename(log .. ".1", log .. ".2")
    os.rename(log, log .. ".1")
    append("ERROR newer\n")
    assert.equal(2, count())
    assert.equal(0, shipped.value(run(), "gone"))
  end)

  it("reads the rest in the copy of a file that was emptied", function()
    append("x\n")
    count()
    append("ERROR rest\n")
    assert(uv.fs_copyfile(log, folder .. "/app-20260101.log"))
    io.open(log, "w"):close()
    append("ERROR new, and longer than what was there before\n")
    local list = run()
    assert.same({ 2, 0 }, { shipped.value(list, "cnt"), shipped.value(list, "gone") })
  end)

  it("says when the rest of a file is nowhere to be found", function()
    append("ERROR\n")
    count()
    io.open(log, "w"):close()
    assert.equal(1, shipped.value(run(), "gone"))
    append("ERROR again\n")
    assert.equal(1, count())
    os.remove(log)
    assert.equal(1, shipped.value(run(), "gone"))
    assert.equal(0, shipped.value(run(), "gone"))
  end)

  it("takes every line exactly once, whatever the order of writing, renaming, copying and emptying", function()
    for seed = 1, 60 do
      math.randomseed(seed)
      ctx.state = {}
      local path = seed % 2 == 0 and log or folder .. "/app.log*"
      local name, written, seen, held = 0, 0, 0, ""
      append("first\n")
      run({ path = path, pattern = "ERROR" })
      local function write()
        for _ = 1, math.random(1, 30) do
          written = written + 1
          held = held .. ("ERROR %d %d %s\n"):format(seed, written, ("x"):rep(math.random(0, 200)))
        end
        local n = math.random(0, #held)
        append(held:sub(1, n))
        held = held:sub(n + 1)
      end
      local function finish_line()
        append(held)
        held = ""
      end
      local function rotate()
        finish_line()
        name = name + 1
        if math.random(2) == 1 then
          os.rename(log, ("%s.%d"):format(log, name))
          if math.random(2) == 1 then
            written = written + 1
            append(("ERROR %d %d late\n"):format(seed, written), ("%s.%d"):format(log, name))
          end
        else
          assert(uv.fs_copyfile(log, ("%s.%d"):format(log, name)))
          if math.random(4) == 1 then seen = seen + count({ path = path, pattern = "ERROR" }) end -- between the two
          io.open(log, "w"):close()
        end
        write()
        finish_line()
      end
      for _ = 1, 12 do
        write()
        for _ = 1, math.max(0, math.random(5) - 3) do rotate() end
        seen = seen + count({ path = path, pattern = "ERROR" })
      end
      finish_line()
      seen = seen + count({ path = path, pattern = "ERROR" })
      assert.equal(written, seen, "seed " .. seed)
      os.execute(("rm -f '%s'/app*"):format(folder))
    end
  end)

  it("reads no more than asked in a run, and the rest in the next", function()
    count()
    append(("ERROR " .. ("x"):rep(100) .. "\n"):rep(3000))
    local list = run({ pattern = "ERROR", max_bytes = 100000 })
    local first = shipped.value(list, "cnt")
    assert.is_true(first >= 900 and first < 2000)
    assert.equal(3000 * 107 - shipped.value(list, "bytes"), shipped.value(list, "behind"))
    local all = first
    for _ = 1, 5 do all = all + count({ pattern = "ERROR", max_bytes = 100000 }) end
    assert.equal(3000, all)
  end)

  it("looks at the beginning of a line without end, once", function()
    count()
    append("ERROR " .. ("x"):rep(300000))
    local list = run()
    assert.same({ 1, 1, 1 }, { shipped.value(list, "cnt"), shipped.value(list, "long_lines"),
      shipped.value(list, "lines") })
    append(("ERROR"):rep(100000) .. "\nERROR\n")
    assert.equal(1, count())
  end)

  it("makes tags and numbers of what a line says", function()
    count()
    append('GET /a 200 0.5\nGET /b 404 1.5\nPOST /a 200 0.25\nGET /c 200 -\nnothing\n')
    local list = assert(run({ pattern = "^(?P<method>\\w+) \\S+ (?P<status>\\d)", value = " ([\\d.]+)$",
      tags = { path = "(/a)" } }))
    local a = { method = "GET", status = "2", path = "/a" }
    assert.same({ 1, 0.5 }, { shipped.value(list, "cnt", a), shipped.value(list, "value.sum", a) })
    assert.equal(1, shipped.value(list, "cnt", { method = "GET", status = "4", path = "none" }))
    assert.equal(0.25, shipped.value(list, "value.avg", { method = "POST" }))
  end)

  it("bounds the tags that a log can make", function()
    count()
    local lines = {}
    for i = 1, 500 do lines[i] = "id=" .. i end
    append(table.concat(lines, "\n") .. "\nid=" .. ("z"):rep(500) .. "\n")
    local list = assert(run({ pattern = "id=(?P<id>\\w+)" }))
    local n, all = 0, 0
    for _, metric in ipairs(shipped.list(list)) do
      if metric.name == "cnt" then n, all = n + 1, all + metric.value end
    end
    assert.same({ 101, 501 }, { n, all })
    assert.equal(401, shipped.value(list, "cnt", { id = "other" }))
  end)

  it("counts several patterns, and leaves out what is to be ignored", function()
    count()
    append("ERROR a\nWARN b\nERROR known\n")
    local list = assert(run({ patterns = { errors = "ERROR", warnings = "WARN" }, ignore = "known" }))
    assert.same({ 1, 1, 3 }, { shipped.value(list, "errors"), shipped.value(list, "warnings"),
      shipped.value(list, "lines") })
  end)

  it("follows all files that wildcards name, and no compressed ones", function()
    uv.fs_mkdir(folder .. "/a", 493)
    uv.fs_mkdir(folder .. "/b", 493)
    local given = { path = folder .. "/[!c]/*.lo?*", pattern = "ERROR" }
    count(given)
    for _, name in ipairs({ "/a/x.log", "/b/y.log", "/b/y.log.gz", "/b/.z.log" }) do
      append("ERROR\n", folder .. name)
    end
    local list = assert(run(given))
    assert.same({ 2, 2 }, { shipped.value(list, "cnt"), shipped.value(list, "files") })
  end)

  it("takes items LOG of the registry", function()
    local params = { file_path = log, pattern = "Out of memory", func = "cnt", time_format = "%b %d", degree = "1",
      collect_type = "FLOW", tags = { process = "process (\\d+)" }, path = {} }
    run(params)
    append("kernel: Out of memory: Killed process 77 (x)\n")
    local list = assert(run(params))
    assert.equal(1, shipped.value(list, "cnt", { process = "77" }))
  end)

  it("gives what its page says", function()
    run({ pattern = "a", value = "(\\d+)" })
    append("a 1\n")
    shipped.compare("logwatch", assert(run({ pattern = "a", value = "(\\d+)" })))
  end)

  it("says what is wrong with its parameters", function()
    local function why(given) return select(2, logwatch.run(shipped.params(logwatch, given), ctx)) end
    assert.match("params.path is missing", why({ pattern = "a" }))
    assert.match("params.pattern is missing", why({ path = log }))
    assert.match("no absolute path", why({ path = "var/log", pattern = "a" }))
    assert.match("^pattern: regular expression .* linear time", why({ path = log, pattern = "(a)\\1" }))
    assert.match("^tags.x: regular expression", why({ path = log, pattern = "a", tags = { x = "(" } }))
    assert.match("func: \"avg\" is not known", why({ path = log, pattern = "a", func = "avg" }))
    assert.match("from is", why({ path = log, pattern = "a", from = "middle" }))
    assert.match("a name is of letters", why({ path = log, patterns = { ["a b"] = "x" } }))
  end)

  it("tells of a file that may not be read, how it can be, and goes on with the others", function()
    append("x\n")
    local real = files.open
    function ctx.open(path)
      if path:find("secret", 1, true) then return nil, "EACCES: permission denied: " .. path, "EACCES" end
      return real(path)
    end
    append("x\n", folder .. "/secret.log")
    local list = assert(run({ path = { log, folder .. "/secret.log" }, pattern = "x" }))
    assert.same({ 1, 1 }, { shipped.value(list, "files"), shipped.value(list, "unreadable") })
    assert.match("secret.log: may not be read; .*builtin.user.*adm", ctx.records[1])
    run({ path = { log, folder .. "/secret.log" }, pattern = "x" })
    assert.equal(1, #ctx.records)
    assert.match("may not be read", select(2, run({ path = folder .. "/secret.log", pattern = "x" })))
  end)

  it("lets go of a file that is not asked for any more", function()
    count()
    append("ERROR\n")
    assert.equal(1, count())
    append("ERROR\n")
    local list = assert(run({ path = folder .. "/other.log", pattern = "ERROR" }))
    assert.same({ 0, 0, 0 }, { shipped.value(list, "cnt"), shipped.value(list, "files"), shipped.value(list, "gone") })
  end)
end)
