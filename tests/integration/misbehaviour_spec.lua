-- Programs that do what they should not (tests/fixtures/plugins), run as plugins are: as another user, with limits,
-- with and without a cgroup, beside one that was there before and goes on. Whatever they do, nothing of them is left.
local exec = require("host.exec")
local sanitizer = require("sanitizer")
local uv = require("luv")
local wait = require("wait")

local FIXTURES = "tests/fixtures/plugins"
local MiB = 1024 * 1024
local LIMITS = {
  cpu_s = 20, address_space = 256 * MiB, processes = 300, open_files = 64, file_size = 16 * MiB, core = 0,
}

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

local function scan(dir)
  local list = uv.fs_scandir(dir)
  return function() return list and uv.fs_scandir_next(list) end
end

local function count(dir)
  local n = 0
  for _ in scan(dir) do n = n + 1 end
  return n
end

-- Everybody who was started with this mark in his environment, by whomever. Zombies have none.
local function marked(mark)
  local found = {}
  for pid in scan("/proc") do
    local environ = pid:find("^%d+$") and read("/proc/" .. pid .. "/environ")
    if environ and environ:find("AGENT_MARK=" .. mark .. "\0", 1, true) then found[#found + 1] = tonumber(pid) end
  end
  return found
end

local function children()
  local found = {}
  for task in scan("/proc/self/task") do found[#found + 1] = read("/proc/self/task/" .. task .. "/children") end
  return table.concat(found)
end

local function own_cpu()
  local usage = uv.getrusage()
  return usage.utime.sec + usage.stime.sec + (usage.utime.usec + usage.stime.usec) / 1e6
end

local function cgroups_work()
  local result
  exec.run({ argv = { "/bin/true" }, cgroup = "probe" }, function(r) result = r end)
  wait.until_true(function() return result end)
  return result.cgroup
end

local runs, older = 0, nil

-- Runs the fixture to its end and past that of everything it started.
local function run(name, options)
  runs = runs + 1
  local mark = ("%d.%d"):format(uv.os_getpid(), runs)
  local tree = assert(uv.fs_mkdtemp("/tmp/agent-plugin-XXXXXX"))
  assert(uv.fs_copyfile(FIXTURES .. "/" .. name, tree .. "/plugin.sh"))
  uv.fs_chmod(tree, 493)
  uv.fs_chmod(tree .. "/plugin.sh", 493)
  if options.owns_tree then uv.fs_chown(tree, 65534, 65534) end
  local before, result = count("/proc/self/fd"), nil
  assert(exec.run({
    argv = { tree .. "/plugin.sh" }, cwd = tree, user = uv.getuid() == 0 and "65534:65534" or nil,
    env = { PATH = "/usr/bin:/bin", AGENT_MARK = mark }, limits = LIMITS, max_output = MiB,
    deadline_ms = options.deadline_ms or 10000, grace_ms = 200, cgroup = options.cgroup,
  }, function(r) result = r end))
  local most = 0
  wait.until_true(function()
    most = math.max(most, #marked(mark))
    return result
  end, 30000)
  wait.until_true(function() return #marked(mark) == 0 end)
  wait.until_true(function() return children() == older:pid() .. " " and count("/proc/self/fd") <= before end)
  os.execute(("rm -rf '%s'"):format(tree))
  result.most = most
  return result
end

local function ends_well(r)
  assert.equal(0, r.code, r.stderr)
  assert.equal("[]\n", r.stdout)
  assert.is_false(r.timed_out)
end

local function is_killed(r)
  assert.is_true(r.timed_out)
  assert.equal(9, r.signal)
end

local cases = {
  { "ignores_term", "one that ignores TERM", { deadline_ms = 300 }, is_killed },
  { "keeps_stdout", "a grandchild that keeps stdout", {}, function(r)
    ends_well(r)
    assert.is_true(r.duration_ms < 5000)
  end },
  { "fork_bomb", "a fork bomb", { deadline_ms = 1500 }, function(r)
    assert.is_true(r.timed_out or r.code ~= 0) -- or it trips over the limit itself
    assert.is_true(r.most > 5)
  end },
  { "walking_bomb", "a fork bomb whose parts don't stay", { deadline_ms = 1500 }, function(r)
    is_killed(r)
    assert.is_true(r.most > 5)
  end },
  { "partial_line", "half a line", {}, function(r) assert.equal('[{"name":"half","val', r.stdout) end },
  { "exits_by_signal", "one that dies of a signal", {}, function(r) assert.equal(11, r.signal) end },
  { "eats_memory", "one that eats memory", {}, function(r)
    if sanitizer.present() then return end -- sets no limit of the address space
    assert.is_true(r.code > 0 or r.signal > 0)
    assert.is_false(r.timed_out)
    assert.is_true(r.rusage.maxrss < 256 * MiB)
  end },
  { "setsid_orphan", "an orphan of another session", {}, ends_well },
  { "daemon", "a daemon", {}, ends_well },
  { "stops_itself", "one that stops itself", { deadline_ms = 300 }, is_killed },
  { "writes_own_directory", "one that writes to its directory, which is not its own", {}, function(r)
    assert.equal(('[{"name":"wrote","value":%d}]\n'):format(uv.getuid() == 0 and 0 or 1), r.stdout)
  end },
  { "changes_tree", "one that removes what it runs from", { owns_tree = true }, ends_well },
}

local function with(options, more)
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  for key, value in pairs(more) do all[key] = value end
  return all
end

describe("nothing is left of a plugin that misbehaves:", function()
  setup(function()
    cgroups_work() -- the first run opens what all later ones use
    older = exec.run({ argv = { "/bin/sleep", "600" }, deadline_ms = 600000 }, function() older = nil end)
  end)

  teardown(function()
    older:kill("KILL")
    wait.until_true(function() return not older end)
  end)

  for _, case in ipairs(cases) do
    local name, says, options, check = unpack(case)
    it(says, function() check(run(name, options)) end)
    it(says .. ", in a cgroup", function()
      if not cgroups_work() then return pending("no cgroup v2 hierarchy that we may write to") end
      local r = run(name, with(options, { cgroup = "misbehaves." .. name }))
      assert.is_true(r.cgroup)
      assert.is_string(exec.cgroups().directory)
      check(r)
    end)
  end

  it("a flood costs it time and us nearly nothing", function()
    collectgarbage()
    local rss, cpu = uv.resident_set_memory(), own_cpu()
    local r = run("floods", { deadline_ms = 4000 })
    assert.is_true(r.truncated and r.timed_out)
    assert.equal(MiB, #r.stdout)
    if sanitizer.present() then return end
    assert.is_true(uv.resident_set_memory() - rss < 12 * MiB)
    assert.is_true(own_cpu() - cpu < 2)
  end)
end)
