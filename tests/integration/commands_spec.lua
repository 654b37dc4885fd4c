local program = require("program")
local uv = require("luv")

local folder, running

local function agent(...)
  local child = program.agent({ ... })
  running[#running + 1] = child
  return child
end

local function run(...)
  local child = agent(...)
  local code = child.wait(20)
  return code, child.output
end

local function started(conf)
  local path = program.configure(folder, conf)
  local child = agent("start", "-f", path)
  program.wait("the pid file", 10, function()
    assert(not child.code, child.output)
    return require("host.pidfile").holder(folder .. "/agent.pid")
  end)
  program.ready(folder, child)
  return child, path
end

describe("the command line", function()
  before_each(function() folder, running = program.folder(), {} end)
  after_each(function()
    for _, child in ipairs(running) do
      child.kill()
      child.wait()
    end
    program.remove(folder)
  end)

  it("shows its commands, and one's usage", function()
    for _, args in ipairs({ { "help" }, { "h" }, { "--help" }, { "-h" }, {} }) do
      local code, output = run(unpack(args))
      assert.equal(0, code)
      for _, name in ipairs({ "start", "stop", "check", "once", "version", "help" }) do
        assert.truthy(output:find("\n  " .. name .. " ", 1, true), output)
      end
    end
    local code, output = run("help", "stop")
    assert.equal(0, code)
    assert.truthy(output:find("usage: agent stop [-f CONF] [-m MODE]", 1, true))
    assert.equal(0, (run("--version")))
  end)

  it("ends with 64 and one line for wrong usage", function()
    for _, args in ipairs({ { "strat" }, { "help", "strat" }, { "check", "-x" }, { "check", "-f" },
      { "stop", "-m", "gently" }, { "stop", "now" } }) do
      local code, output = run(unpack(args))
      assert.equal(64, code)
      assert.truthy(output:find("^agent[^\n]+\n$"), output)
    end
  end)
end)

describe("agent check", function()
  before_each(function() folder, running = program.folder(), {} end)
  after_each(function() program.remove(folder) end)

  it("finds the samples valid", function()
    for _, path in ipairs({ "conf/agent.lua", "conf/local.lua" }) do
      local code, output = run("check", "-f", path)
      assert.equal(path .. ": valid\n", output)
      assert.equal(0, code)
    end
  end)

  it("lists every problem as FILE:LINE: key: reason, and ends with 1", function()
    local path = folder .. "/agent.lua"
    program.write(path, "return {\n agent = { listen = 5,\n  sockte = 'x' },\n log = 1,\n}")
    local code, output = run("check", "-f", path)
    assert.equal(1, code)
    assert.equal(path .. ":2: agent.listen: got a number that is not allowed, want HOST:PORT such as "
      .. '"127.0.0.1:1232", or "" for none\n' .. path .. ":3: agent.sockte: unknown key, did you mean "
      .. "agent.socket?\n" .. path .. ":4: log: got a number, want a table\n", output)
  end)

  it("tells warnings of a valid file", function()
    local path = folder .. "/agent.lua"
    program.write(path, "return {\n agent = { registryaddr = 'http://r',\n  pluginsuser = 'root' }, trace = {} }")
    local code, output = run("check", "--f=" .. path)
    assert.equal(0, code)
    assert.truthy(output:find(path .. ":3: agent.pluginsuser: warning: ", 1, true), output)
    assert.truthy(output:find(": trace: warning: ignored", 1, true), output)
  end)

  it("says why a file cannot be read, is no Lua or does not end", function()
    local path = folder .. "/agent.lua"
    local code, output = run("check", "-f", path)
    assert.equal(1, code)
    assert.equal(path .. ": cannot be read: No such file or directory\n", output)
    program.write(path, "return {\n a = \n}")
    assert.equal(path .. ":3: unexpected symbol near '}'\n", select(2, run("check", "-f", path)))
    program.write(path, "while true do end")
    code, output = run("check", "-f", path)
    assert.equal(1, code)
    assert.equal(path .. ": the file takes too many instructions\n", output)
  end)

  it("checks the registry file that the configuration names", function()
    local path, registry = folder .. "/agent.lua", folder .. "/registry.lua"
    program.write(path, ("return { agent = { registryaddr = 'file:%s' } }"):format(registry))
    program.write(registry, "return {\n ['a.loda'] = {\n  {},\n }, ['b c'] = {} }")
    local code, output = run("check", "-f", path)
    assert.equal(1, code)
    assert.truthy(output:find(registry .. ':3: ["a.loda"][1]: measurement_type is missing', 1, true), output)
    assert.truthy(output:find(registry .. ':4: ["b c"]: no name of a namespace', 1, true), output)
  end)

  it("shows no value of a key that is wrong", function()
    local path = folder .. "/agent.lua"
    program.write(path, "return { agent = { registryaddr = 'ftp://me:s3cret@x' } }")
    assert.is_nil((select(2, run("check", "-f", path)):find("s3cret")))
  end)
end)

describe("agent stop", function()
  before_each(function() folder, running = program.folder(), {} end)
  after_each(function()
    for _, child in ipairs(running) do
      child.kill()
      child.wait()
    end
    program.remove(folder)
  end)

  it("ends the running agent and returns when it is gone", function()
    local child, path = started()
    local code, output = run("stop", "-f", path)
    assert.equal(("agent %d has ended\n"):format(child.pid), output)
    assert.equal(0, code)
    assert.equal(0, child.wait(1))
    code, output = run("stop", "-f", path)
    assert.equal(1, code)
    assert.truthy(output:find("not running", 1, true), output)
  end)

  it("leaves alone a process whose pid stands in a stale file", function()
    local path = program.configure(folder)
    local innocent = program.spawn("/bin/sleep", { "60" })
    running[#running + 1] = innocent
    program.write(folder .. "/agent.pid", tostring(innocent.pid))
    local code, output = run("stop", "-f", path)
    assert.equal(1, code)
    assert.truthy(output:find("stale pid file", 1, true), output)
    assert.equal(0, uv.kill(innocent.pid, 0))
  end)

  it("removes the configured directories with -m clean, and not when there was nothing to stop", function()
    local child, path = started()
    for _, name in ipairs({ "plugins", "state" }) do uv.fs_mkdir(folder .. "/" .. name, 493) end
    program.write(folder .. "/plugins/file", "x")
    local code, output = run("stop", "-f", path, "-m", "clean")
    assert.equal(0, code, output)
    assert.equal(0, child.wait(1))
    assert.is_nil(uv.fs_stat(folder .. "/plugins"))
    assert.is_nil(uv.fs_stat(folder .. "/state"))
    uv.fs_mkdir(folder .. "/plugins", 493)
    assert.equal(1, (run("stop", "-f", path, "-m=clean")))
    assert.is_table(uv.fs_stat(folder .. "/plugins"))
  end)

  it("does not remove a top-level directory, whatever is configured", function()
    local child, path = started({ agent = { pluginsdir = "/tmp" } })
    local code, output = run("stop", "-f", path, "-m", "clean")
    assert.equal(1, code)
    assert.truthy(output:find("/tmp is not removed: a top-level directory", 1, true), output)
    assert.equal(0, child.wait(1))
    assert.is_table(uv.fs_stat("/tmp"))
  end)
end)

describe("the log of a running agent", function()
  before_each(function() folder, running = program.folder(), {} end)
  after_each(function()
    for _, child in ipairs(running) do
      child.kill()
      child.wait()
    end
    program.remove(folder)
  end)

  it("goes to agent.log, and into a new one after an external logrotate", function()
    local child = started({ log = { logdir = folder .. "/log" } })
    local path = folder .. "/log/agent.log"
    program.wait("the first records", 5, function() return (program.read(path) or ""):find(" started ", 1, true) end)
    assert(uv.fs_rename(path, path .. ".old"))
    child.kill("sigterm")
    assert.equal(0, child.wait(6))
    assert.truthy(program.read(path):find(" stopping ", 1, true))
    assert.is_nil(program.read(path .. ".old"):find(" stopping ", 1, true))
    assert.equal("", child.output)
  end)

  it("holds up neither the agent nor its end when its disk does not answer", function()
    assert.equal(0, os.execute("mkfifo '" .. folder .. "/agent.log'")) -- nobody reads: open() waits for ever
    local child = started({ log = { logdir = folder } })
    assert.equal(200, select(2, program.curl(folder, "/me/ns")))
    local began = uv.hrtime()
    child.kill("sigterm")
    assert.equal(0, child.wait(8))
    assert.is_true(uv.hrtime() - began < 5e9)
  end)
end)
