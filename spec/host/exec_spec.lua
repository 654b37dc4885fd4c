local exec = require("host.exec")
local uv = require("luv")
local wait = require("wait")
local sanitizer = require("sanitizer")

local SH = "/bin/sh"

--- Runs it to its end and returns the result.
local function run(options)
  local result
  local handle, why, code = exec.run(options, function(r) result = r end)
  if not handle then return nil, why, code end
  wait.until_true(function() return result end, 20000)
  return result, handle
end

--- The same for a program that can't be started: why and code.
local function failure(options)
  local result = assert(run(options))
  assert.equal(-1, result.code)
  return assert(result.error).message, result.error.code, result.error.step
end

local function sh(script, more)
  local options = more or {}
  options.argv = { SH, "-c", script }
  return run(options)
end

local function alive(pid) return uv.kill(pid, 0) == 0 end

-- Not even a zombie counts.
local function running(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return false end
  local state = file:read("*a"):match("%) (%a)")
  file:close()
  return state ~= "Z" and state ~= "X"
end

local function open_files()
  local n, dir = 0, uv.fs_scandir("/proc/self/fd")
  while uv.fs_scandir_next(dir) do n = n + 1 end
  return n
end

local function children()
  local found, dir = {}, assert(uv.fs_scandir("/proc/self/task"))
  for task in function() return uv.fs_scandir_next(dir) end do
    local file = assert(io.open(("/proc/self/task/%s/children"):format(task)))
    found[#found + 1] = file:read("*a")
    file:close()
  end
  return table.concat(found)
end

local function temp_dir(mode)
  local dir = assert(uv.fs_mkdtemp("/tmp/agent-exec-XXXXXX"))
  if mode then uv.fs_chmod(dir, mode) end
  return dir
end

local function write_file(path, text, mode)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  assert(uv.fs_chmod(path, mode or 420))
end

local function remove(dir)
  os.execute(("rm -rf '%s'"):format(dir))
end

describe("host.exec", function()
  it("reports status, output and usage of a child", function()
    local r, handle = sh("echo out; echo err >&2; exit 7")
    assert.equal(7, r.code)
    assert.equal(0, r.signal)
    assert.equal("out\n", r.stdout)
    assert.equal("err\n", r.stderr)
    assert.is_false(r.timed_out)
    assert.is_false(r.truncated)
    assert.is_false(r.stuck)
    assert.is_true(r.duration_ms > 0 and r.duration_ms < 10000)
    assert.is_true(r.rusage.maxrss > 100000)
    assert.is_false(alive(handle:pid()))
  end)

  it("reports the signal that ended a child", function()
    local r = sh("kill -USR1 $$")
    assert.equal(-1, r.code)
    assert.equal(10, r.signal)
  end)

  it("keeps partial lines and NUL bytes of the output", function()
    assert.equal("a\0b\nno newline", sh("printf 'a\\000b\\nno newline'").stdout)
  end)

  it("says ENOENT for a missing program, EACCES for a plain file, ENOEXEC for a script of no kind", function()
    local dir = temp_dir()
    write_file(dir .. "/plain", "#!/bin/sh\n")
    write_file(dir .. "/text", "echo never through a shell\n", 493)
    local function code_of(options) return (select(2, failure(options))) end
    assert.equal("ENOENT", code_of({ argv = { dir .. "/missing" } }))
    assert.equal("EACCES", code_of({ argv = { dir .. "/plain" } }))
    assert.equal("ENOEXEC", code_of({ argv = { dir .. "/text" } }))
    assert.equal("ENOENT", code_of({ argv = { SH }, cwd = dir .. "/missing" }))
    local why, _, step = failure({ argv = { dir .. "/missing" } })
    assert.equal("execve: No such file or directory", why)
    assert.equal("execve", step)
    assert.equal("chdir", (select(3, failure({ argv = { SH }, cwd = dir .. "/missing" }))))
    remove(dir)
  end)

  it("refuses an unknown user", function()
    local _, why, code = run({ argv = { SH }, user = "no-such-user" })
    assert.equal("ENOENT", code)
    assert.matches("no%-such%-user", why)
  end)

  it("raises for options that a caller got wrong", function()
    local function nothing() end
    for _, options in ipairs({
      {}, { argv = {} }, { argv = { "sh" } }, { argv = { SH, {} } }, { argv = { "/bin/s\0h" } },
      { argv = { SH }, cwd = 1 }, { argv = { SH }, env = { 1 } }, { argv = { SH }, env = { A = "\0" } },
      { argv = { SH }, deadline_ms = -1 }, { argv = { SH }, deadline_ms = 0 / 0 },
      { argv = { SH }, limits = { bogus = 1 } }, { argv = { SH }, limits = { core = -1 } },
    }) do
      assert.has_error(function() exec.run(options, nothing) end)
    end
    assert.has_error(function() exec.run({ argv = { SH } }) end)
  end)

  it("gives a child the minimal environment, or exactly the one it is told", function()
    assert.equal("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", run({ argv = { "/usr/bin/env" } }).stdout)
    assert.equal("A=b c\n", run({ argv = { "/usr/bin/env" }, env = { A = "b c" } }).stdout)
  end)

  it("starts a child in its directory, at /dev/null or with the given input", function()
    assert.equal("/usr\n", sh("pwd", { cwd = "/usr" }).stdout)
    assert.equal("/dev/null\n", sh("readlink /proc/self/fd/0").stdout)
    local long = ("x"):rep(300000)
    assert.equal(long, run({ argv = { "/bin/cat" }, stdin = long }).stdout)
    assert.equal(0, sh("exit 0", { stdin = long }).code)
  end)

  it("leads a session and group of its own, with default signals and no other descriptors", function()
    local r = sh("read p _ _ _ g s _ < /proc/self/stat; echo $((p==g)) $((p==s)); ls /proc/self/fd; "
      .. "grep -E 'SigBlk|SigIgn' /proc/self/status")
    assert.matches("^1 1\n0\n1\n2\n3\n", r.stdout) -- 3 is ls' own
    assert.matches("SigBlk:%s+0000000000000000\n", r.stdout)
    assert.matches("SigIgn:%s+0000000000000000\n", r.stdout)
  end)

  it("becomes another user without supplementary groups, and stays dumpable itself", function()
    if uv.getuid() ~= 0 then return pending("needs root") end
    assert.matches("^uid=65534%(nobody%) gid=65534%(nogroup%) groups=65534%(nogroup%)",
      run({ argv = { "/usr/bin/id" }, user = "nobody" }).stdout)
    assert.matches("uid=1%(", run({ argv = { "/usr/bin/id" }, user = "1:1" }).stdout)
    local dir = temp_dir(448)
    assert.equal("EACCES", (select(2, failure({ argv = { SH }, user = "nobody", cwd = dir }))))
    remove(dir)
  end)

  it("sets each limit", function()
    local r = run({
      argv = { "/bin/cat", "/proc/self/limits" },
      limits = {
        cpu_s = 7, address_space = 1e9, processes = 99, open_files = 33, file_size = 4096, core = 0,
      },
    })
    local text = r.stdout
    assert.matches("Max cpu time%s+7%s+7 ", text)
    assert.matches("Max processes%s+99%s+99 ", text)
    assert.matches("Max open files%s+33%s+33 ", text)
    assert.matches("Max file size%s+4096%s+4096 ", text)
    assert.matches("Max core file size%s+0%s+0 ", text)
    if not sanitizer.present() then assert.matches("Max address space%s+1000000000%s+1000000000 ", text) end
  end)

  it("ends a child at its deadline", function()
    local r, handle = run({ argv = { "/bin/sleep", "60" }, deadline_ms = 50 })
    assert.is_true(r.timed_out)
    assert.equal(15, r.signal)
    assert.is_true(r.duration_ms < 5000)
    assert.is_false(alive(handle:pid()))
  end)

  it("kills a child that ignores TERM, after the grace period", function()
    local r = sh("trap '' TERM; while :; do sleep 60; done", { deadline_ms = 50, grace_ms = 100 })
    assert.is_true(r.timed_out)
    assert.equal(9, r.signal)
    assert.is_true(r.duration_ms >= 140 and r.duration_ms < 10000)
  end)

  it("kills the whole group, and what left it with setsid", function()
    local r = sh("trap '' TERM; setsid sleep 61 & echo $!; sleep 62 & echo $!; wait",
      { deadline_ms = 100, grace_ms = 100 })
    local a, b = r.stdout:match("(%d+)\n(%d+)")
    assert.is_true(r.timed_out)
    wait.until_true(function() return not alive(tonumber(a)) and not alive(tonumber(b)) end)
  end)

  it("does not wait for a grandchild that keeps stdout open, and kills it", function()
    local r = sh("sleep 63 & echo $!", { grace_ms = 100 })
    assert.equal(0, r.code)
    assert.is_false(r.timed_out)
    assert.is_true(r.duration_ms < 5000)
    wait.until_true(function() return not alive(tonumber(r.stdout)) end)
  end)

  it("kills and reaps a daemon that a child left behind", function()
    local r = sh("setsid sh -c 'sleep 64 & echo $!; exec >&- 2>&-; wait' & sleep 0.1")
    local pid = tonumber(r.stdout)
    assert.equal(0, r.code)
    wait.until_true(function() return not alive(pid) end)
    wait.until_true(function() return children() == "" end)
  end)

  -- Starts a daemon that has left its group when this prints its number.
  local DAEMON = "setsid sleep 73 >/dev/null 2>&1 & echo $!; "
    .. "while read _ _ _ _ g _ < /proc/$!/stat && [ $g != $! ]; do :; done; "

  it("kills group, descendants and daemons of a run while older ones go on", function()
    local result
    local older = exec.run({ argv = { "/bin/sleep", "70" } }, function(r) result = r end)
    local r = sh("sleep 71 & echo $!", { grace_ms = 50 })
    wait.until_true(function() return not running(tonumber(r.stdout)) end, 2000)
    r = sh("trap '' TERM; setsid sleep 72 & echo $!; wait", { deadline_ms = 100, grace_ms = 50 })
    assert.equal(9, r.signal)
    wait.until_true(function() return not running(tonumber(r.stdout)) end, 2000)
    r = sh(DAEMON)
    wait.until_true(function() return not running(tonumber(r.stdout)) end, 2000)
    r = sh("env -i setsid sh -c 'setsid sleep 74 & echo $!'") -- one that kept nothing of its parents
    wait.until_true(function() return not running(tonumber(r.stdout)) end, 2000)
    assert.is_nil(result)
    older:kill("KILL")
    wait.until_true(function() return result end)
  end)

  it("spares the orphans of a run as long as that goes on, and reaps the dead ones", function()
    local text, result = "", nil
    local path = os.tmpname()
    local whole = ("(%s) >%s; (setsid sleep 0.01 >/dev/null 2>&1 &); sleep 75"):format(DAEMON, path)
    local child = exec.run({ argv = { "/bin/sh", "-c", whole } }, function(r) result = r end)
    wait.until_true(function()
      local file = assert(io.open(path))
      text = file:read("*a")
      file:close()
      return tonumber(text) ~= nil
    end)
    os.remove(path)
    local daemon = tonumber(text)
    sh("exit 0") -- begins to sweep, which goes on
    wait.until_true(function() return #children():gsub("%d+", "") == 2 end) -- the run and the daemon
    assert.is_true(running(daemon))
    child:kill("KILL")
    wait.until_true(function() return result and not running(daemon) end)
  end)

  it("spares an orphan as long as an older run goes on where the host leaves no room for marks", function()
    local agent = os.getenv("AGENT") or "build/agent"
    local r = sh(("exec prlimit --rttime=950000:950000 %s lua tests/fixtures/unmarked.lua"):format(agent))
    assert.equal("spared\nended\n", r.stdout, r.stderr)
    assert.equal(0, r.code)
  end)

  it("spares processes of our own that it did not start", function()
    local other, ended
    other = uv.spawn("/bin/sleep", { args = { "65" } }, function()
      ended = true
      other:close()
    end)
    sh("setsid sleep 0.01 & exit 0")
    sh("sleep 0.05") -- time to die in, had it been killed
    assert.is_true(running(other:get_pid()))
    other:kill("sigkill")
    wait.until_true(function() return ended and children() == "" end)
  end)

  it("cuts a flood of output at its cap, and reads the rest away", function()
    local r = sh("head -c 5000000 /dev/zero; head -c 100 /dev/zero >&2", { max_output = 1000 })
    assert.equal(0, r.code)
    assert.is_true(r.truncated)
    assert.equal(1000, #r.stdout)
    assert.equal(100, #r.stderr)
    assert.is_false(sh("head -c 1000 /dev/zero", { max_output = 1000 }).truncated)
  end)

  it("ends an endless flood at its deadline", function()
    local r = run({ argv = { "/usr/bin/yes" }, deadline_ms = 100, max_output = 10 })
    assert.is_true(r.timed_out and r.truncated)
    assert.equal("y\ny\ny\ny\ny\n", r.stdout)
  end)

  it("runs 200 at once and leaves no process, no zombie and no descriptor", function()
    sh("exit 0")
    local before, results = open_files(), {}
    for i = 1, 200 do
      assert(exec.run({ argv = { SH, "-c", "exit " .. i % 100 } }, function(r) results[i] = r end))
    end
    wait.until_true(function() return #results == 200 and children() == "" end, 20000)
    for i = 1, 200 do assert.equal(i % 100, results[i].code) end
    wait.until_true(function() return open_files() == before end)
  end)

  it("leaves no descriptor after failed starts", function()
    local before = open_files()
    for _ = 1, 50 do run({ argv = { "/missing" }, channel = true, stdin = "x" }) end
    assert.equal(before, open_files())
  end)

  it("kills on request: politely, or at once", function()
    local result
    local handle = exec.run({ argv = { "/bin/sleep", "66" } }, function(r) result = r end)
    handle:kill()
    wait.until_true(function() return result end)
    assert.equal(15, result.signal)
    assert.is_false(result.timed_out)
    handle:kill()
    result = nil
    handle = exec.run({ argv = { SH, "-c", "trap '' TERM; sleep 67" } }, function(r) result = r end)
    handle:kill("KILL")
    wait.until_true(function() return result end)
    assert.equal(9, result.signal)
    assert.has_error(function() handle:kill("HUP") end)
  end)

  it("exchanges frames on descriptor 3", function()
    local frames, result = {}, nil
    local handle = assert(exec.run({ argv = { SH, "-c", "exec cat <&3 >&3" }, channel = true,
      on_frame = function(frame) frames[#frames + 1] = frame end }, function(r) result = r end))
    local big = ("0123456789"):rep(100000)
    for _, frame in ipairs({ "one", "", big }) do assert.is_true(handle:send(frame)) end
    handle:end_send()
    wait.until_true(function() return result end)
    assert.same({ "one", "", big }, frames)
    local _, _, code = handle:send("late")
    assert.equal("EPIPE", code)
  end)

  it("kills a child whose frame is over the cap", function()
    local r = sh("printf '\\377\\377\\377\\377' >&3; sleep 68", { channel = true })
    assert.is_true(r.bad_frame)
    assert.equal(9, r.signal)
  end)

  it("refuses to queue frames without bound", function()
    local result
    local handle = exec.run({ argv = { "/bin/sleep", "69" }, channel = true }, function(r) result = r end)
    local _, _, code = handle:send(("x"):rep(8 * 1024 * 1024 + 1))
    assert.equal("EMSGSIZE", code)
    local big = ("x"):rep(8 * 1024 * 1024)
    for _ = 1, 4 do _, _, code = handle:send(big) end
    assert.equal("ENOBUFS", code)
    handle:kill("KILL")
    wait.until_true(function() return result end)
  end)

  it("goes on when a callback raises", function()
    local errors = require("host").errors()
    assert(exec.run({ argv = { "/bin/true" } }, function() error("raised on purpose") end))
    wait.until_true(function() return require("host").errors() == errors + 1 end)
    assert.equal(0, sh("exit 0").code)
  end)
end)
