-- PROC with real processes: what the kernel of this machine really says about them.

local collect_env = require("collect_env")
local exec = require("host.exec")
local uv = require("luv")
local wait = require("wait")

local agent = os.getenv("AGENT")

describe("PROC with real processes", function()
  local folder, children, env, collector

  local function copy(from, name)
    assert(uv.fs_copyfile(from, folder .. "/" .. name))
    uv.fs_chmod(folder .. "/" .. name, 493)
    return folder .. "/" .. name
  end

  local function start(path, ...)
    local child = { argv = { path, ... } }
    child.handle = assert(exec.run({ argv = child.argv, deadline_ms = 0 }, function() child.ended = true end))
    children[#children + 1] = child
    wait.until_true(function() return uv.fs_readlink(("/proc/%d/exe"):format(child.handle:pid() or 0)) == path end)
    return child
  end

  local function stop(child)
    child.handle:kill("KILL")
    wait.until_true(function() return child.ended end)
  end

  before_each(function()
    folder, children = collect_env.tempdir(), {}
    env = collect_env.new({ procfs = "/proc" })
    env.procfs = assert(require("host.procfs").open())
    env.worker = require("agent.worker.client")
    collector = require("agent.collect.proc").new(env)
  end)
  after_each(function()
    for _, child in ipairs(children) do
      if not child.ended then stop(child) end
    end
    collector.close()
    env.procfs:close()
    collect_env.remove(folder)
  end)

  local function run(path, cmdline)
    local values
    collector.run({ { ns = "a", name = "P", path = path, cmdline = cmdline, interval = 60 } }, function(results)
      values = {}
      for _, metric in ipairs(results[1].metrics) do values[metric.name:sub(3)] = metric.value end
    end)
    wait.until_true(function() return values end)
    return values
  end

  it("counts them, also after their executable was removed or replaced", function()
    local path = copy("/bin/sleep", "my prog (x)")
    local first = start(path, "100")
    start(path, "100")
    local values = run(path)
    assert.are.equal(2, values.procnum)
    assert.are.equal(0, values.deleted)
    assert.is_true(values.fdnum >= 6 and values.mem > 100000)
    os.remove(path)
    values = run(path)
    assert.are.equal(2, values.procnum)
    assert.are.equal(2, values.deleted)
    copy("/bin/sleep", "my prog (x)")
    start(path, "100")
    values = run(path)
    assert.are.equal(3, values.procnum)
    assert.are.equal(2, values.deleted)
    stop(first)
    assert.are.equal(2, run(path).procnum)
  end)

  it("takes 100 for all cores: one busy process is its share of them", function()
    local path = copy("/bin/sh", "busy")
    start(path, "-c", "while :; do :; done")
    assert.is_nil(run(path).cpu)
    local from = uv.hrtime()
    wait.until_true(function() return uv.hrtime() - from > 1e9 end)
    local cpu, cores = run(path).cpu, #uv.cpu_info()
    assert.is_true(cpu > 30 / cores and cpu <= 102 / cores, cpu)
  end)

  it("shows the bytes that reach the disk", function()
    local path = copy("/bin/dd", "writer")
    local target = folder .. "/out"
    assert(os.execute("mkfifo " .. folder .. "/in") == 0)
    start(path, "if=" .. folder .. "/in", "of=" .. target, "bs=65536", "oflag=dsync")
    local values = run(path)
    assert.is_nil(values["io.write"])
    local from = uv.hrtime()
    local input = assert(io.open(folder .. "/in", "wb"))
    input:write(("x"):rep(2 ^ 20))
    input:flush()
    local function size() return (uv.fs_stat(target) or { size = 0 }).size end
    wait.until_true(function() return size() == 2 ^ 20 end)
    wait.until_true(function() return uv.hrtime() - from > 2e8 end) -- two runs are not too close then
    values = run(path)
    input:close()
    if values["io.write"] == 0 then return pending("no disk below " .. folder) end
    assert.is_true(values["io.write"] > 2 ^ 20 / 10, values["io.write"])
    assert.are.equal(0, values["io.write"] % 1)
  end)

  it("tells an interpreter's scripts apart", function()
    local path = copy("/bin/sh", "interpreter")
    local function script(name)
      collect_env.write(folder .. "/" .. name, "while :; do sleep 100; done\n")
      return start(path, folder .. "/" .. name, "--port", "80")
    end
    script("one.sh")
    script("two.sh")
    script("two.sh")
    assert.are.equal(2, run(path, "two.sh --port 80").procnum)
    assert.are.equal(1, run(path, "one.sh").procnum)
    assert.are.equal(0, run(path, "one.sh --port 8080").procnum)
    assert.are.equal(3, run(path).procnum)
  end)

  it("counts no process that hides from the agent's user, and says so", function()
    if uv.getuid() ~= 0 then return pending("not root: nobody to hide from") end
    local path = copy("/bin/sleep", "mine")
    start(path, "100")
    collect_env.write(folder .. "/ask.lua", ([[
      local procfs = require("host.procfs").open()
      local sweep = procfs:sweep({ %q, "/proc/nothing" })
      while not sweep:step(100) do end
      local sums = sweep:sum(1)
      print(sums.processes, sweep:hidden() > 0)
    ]]):format(path))
    uv.fs_chmod(folder, 493)
    copy(agent, "agent")
    local result
    assert(exec.run({ argv = { folder .. "/agent", "lua", folder .. "/ask.lua" }, user = "nobody", deadline_ms = 5000 },
      function(answer) result = answer end))
    wait.until_true(function() return result end)
    assert.are.equal("0\ttrue\n", result.stdout .. result.stderr)
  end)
end)
