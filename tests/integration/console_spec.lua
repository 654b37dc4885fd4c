-- The commands that talk to a running agent, with the real one.
local program = require("program")
local terminal = require("terminal")
local uv = require("luv")

local LEAVE = "\27[?7h\27[?25h\27[?1049l"

describe("the console", function()
  local folder, agent, running

  before_each(function() folder, running = program.folder(), {} end)

  after_each(function()
    for _, child in ipairs(running) do
      child.kill("sigcont")
      child.kill()
      child.wait()
    end
    program.remove(folder)
  end)

  local function spawn(...)
    local child = program.agent({ ... })
    running[#running + 1] = child
    return child
  end

  -- Runs a command on the agent's socket to its end.
  local function run(name, ...)
    local child = spawn(name, "--socket", folder .. "/agent.sock", ...)
    return child.wait(20), child.output, child.stdout
  end

  local function start(conf, registry)
    agent = spawn("start", "-f", program.configure(folder, conf, registry))
    program.ready(folder, agent)
  end

  local function post(name)
    local _, status = program.curl(folder, "/post?ns=test.loda", ('[{"name":"%s","value":42}]'):format(name))
    assert.equal(200, status)
  end

  local function expect(child, pattern, seconds)
    program.wait(pattern .. " in " .. child.output, seconds or 15, function()
      assert(not child.code or child.output:find(pattern), "it ended: " .. child.output)
      return child.output:find(pattern)
    end)
  end

  it("shows the status on one screen, or as the agent gave it", function()
    start()
    program.wait("health", 20, function() return (run("status")) == 0 end)
    local code, output = run("status")
    assert.equal(0, code)
    for _, line in ipairs({
      "^agent       %S+ %(", "\nhealth      healthy\n", "\nnamespaces  test.loda\n",
      "\nregistry    0 items, answer %d+ s old\n", "\noutput      file ", "\nqueue       0 messages",
      "\nslowest     %u", "\nmemory      [%d.]+ MiB RSS", "\nstall       longest " }) do
      assert.is_truthy(output:find(line), line .. " is not in\n" .. output)
    end
    local _, json = run("status", "--json")
    local status = require("cjson").decode(json)
    assert.equal(agent.pid, status.pid)
  end)

  it("finds the agent by its configuration, on TCP where it has no socket", function()
    start()
    local by_socket = spawn("status", "-f", folder .. "/agent.lua", "--json")
    by_socket.wait(20)
    assert.is_truthy(by_socket.stdout:find(('"pid":%d,'):format(agent.pid)), by_socket.output)
    local port = agent.output:match("tcp=127%.0%.0%.1:(%d+)")
    program.write(folder .. "/tcp.lua", ('return { agent = { socket = "", listen = "127.0.0.1:%s" } }'):format(port))
    local child = spawn("status", "-f", folder .. "/tcp.lua", "--json")
    child.wait(20)
    assert.is_truthy(child.stdout:find(('"pid":%d,'):format(agent.pid)), child.output)
  end)

  it("is not healthy where nothing is published", function()
    start(nil, {})
    local code, output = run("status")
    assert.equal(1, code)
    assert.is_truthy(output:find("NOT HEALTHY: "), output)
  end)

  it("says what to do where no agent listens", function()
    for _, name in ipairs({ "status", "plugins", "update", "tail", "top" }) do
      local code, output, stdout = run(name)
      assert.same({ 2, "" }, { code, stdout })
      local said = "^agent " .. name .. ": no agent listens on [^\n]+ start it with `agent start`[^\n]*\n$"
      assert.is_truthy(output:find(said), output)
    end
    program.write(folder .. "/agent.sock", "a file")
    assert.equal(2, (run("status")))
    local child = spawn("status", "-f", folder .. "/missing.lua")
    assert.equal(2, child.wait(20))
    assert.is_truthy(child.output:find("missing.lua", 1, true), child.output)
    assert.equal(2, (spawn("status", "--socket", "/tmp/" .. ("x"):rep(200)).wait(20)))
  end)

  it("says so where another user may not", function()
    if uv.getuid() ~= 0 then return pending("needs root, to become another user") end
    start()
    uv.fs_chmod(folder, tonumber("755", 8))
    assert(uv.fs_copyfile(os.getenv("AGENT"), folder .. "/agent"))
    local function as_nobody(...)
      local child = program.spawn("/usr/bin/setpriv", { "--reuid=65534", "--regid=65534", "--clear-groups",
        folder .. "/agent", ... })
      return child.wait(20), child.output
    end
    local socket = folder .. "/agent.sock"
    local code, output = as_nobody("update", "--socket", socket)
    assert.equal(1, code)
    assert.is_truthy(output:find("only root, the agent's user and members of http.group", 1, true), output)
    uv.fs_chmod(socket, tonumber("700", 8))
    code, output = as_nobody("status", "--socket", socket)
    assert.equal(2, code)
    assert.equal(("agent status: no permission to use %s; ask as root, as the agent's user or as a member of "
      .. "http.group\n"):format(socket), output)
  end)

  it("gives a stopped agent five seconds", function()
    start()
    agent.kill("sigstop")
    local commands = { { "status" }, { "plugins" }, { "update" }, { "tail" }, { "top" },
      { "plugins", "run", "--timeout", "300", "test.loda", "x" } }
    local began, children = uv.hrtime(), {}
    for i, words in ipairs(commands) do
      children[i] = spawn(words[1], "--socket", folder .. "/agent.sock", unpack(words, 2))
    end
    for i, child in ipairs(children) do
      assert.equal(2, child.wait(30))
      local said = "^agent " .. commands[i][1] .. ": the agent at %S+ does not answer %(waited 5 s%)"
      assert.is_truthy(child.output:find(said), child.output)
    end
    assert.is_true(uv.hrtime() - began > 4.9e9)
    agent.kill("sigcont")
    assert.is_truthy(select(2, run("status")):find("^agent  "))
  end)

  it("updates, and shows what changed and what was refused", function()
    start()
    program.write(folder .. "/registry.lua", [[return { ["test.loda"] = {
      { measurement_type = "PORT", name = "PORT.ssh", port = "22", interval = "60" },
      { measurement_type = "PORT", name = "PORT.\27[31m", port = "x", interval = "60" } } }]])
    -- The agent watches the file, too, and may have been faster.
    local code, output = run("update")
    assert.equal(0, code)
    assert.is_truthy(output:find("refused test.loda PORT.", 1, true), output)
    assert.is_truthy(output:find("%d+ added, %d+ changed, 0 removed, 1 refused, in "), output)
    assert.is_nil(output:find("\27", 1, true))
    program.write(folder .. "/registry.lua", "return {")
    code, output = run("update")
    assert.equal(1, code)
    assert.is_truthy(output:find("not updated: "), output)
  end)

  it("follows the points of a name, through a restart of the agent", function()
    start()
    local tail = spawn("tail", "--socket", folder .. "/agent.sock", "--name", "RUN.*", "--ns", "test.loda")
    local lines = spawn("tail", "--socket", folder .. "/agent.sock", "--json")
    program.wait("a line", 30, function()
      post("orders.paid")
      return tail.stdout:find("^%d%d:%d%d:%d%d test%.loda RUN%.orders%.paid 42") and lines.stdout:find("\n")
    end)
    assert.equal("RUN.orders.paid", tail.stdout:match(" (%S+) 42"))
    local point = require("cjson").decode(lines.stdout:match("^[^\n]+"))
    assert.is_string(point.measurement)
    agent.kill("sigterm")
    agent.wait(10)
    expect(tail, "agent tail: the agent at %S+ can't be reached: [^\n]+; trying again\n")
    start()
    expect(tail, "agent tail: connected again\n")
    program.wait("a line after the restart", 30, function()
      post("orders.again")
      return tail.stdout:find("RUN%.orders%.again 42")
    end)
    tail.kill("sigint")
    tail.wait(10)
    assert.equal(2, tail.signal)
    assert.is_nil(tail.output:find("traceback"))
    assert.equal(1, select(2, tail.output:gsub("trying again", "")))
  end)

  it("ends in peace when nobody reads its points any more", function()
    start()
    local child = program.spawn("/bin/sh", { "-c",
      ("{ %s tail --socket %s/agent.sock; echo tail=$? >&2; } | head -n 1"):format(os.getenv("AGENT"), folder) })
    program.wait("the end of tail: " .. child.output, 40, function()
      post("a")
      return child.output:find("tail=%d+\n")
    end)
    child.wait(10)
    assert.equal("tail=0", child.output:match("tail=%d+"))
    assert.is_nil(child.output:find("agent tail:"))
  end)

  it("says wrong usage in one line", function()
    for _, words in ipairs({ { "status", "now" }, { "plugins", "frobnicate", "a", "b" }, { "plugins", "run", "a" },
      { "plugins", "run", "--timeout", "x", "a", "b" }, { "plugins", "enable", "a", "b", "c" }, { "tail", "--ns" },
      { "plugins", "run", "a", "b", "c d" }, { "plugins", "run", "a", "b", "-x" }, { "top", "--json" } }) do
      local child = spawn(unpack(words))
      assert.equal(64, child.wait(20))
      assert.is_truthy(child.output:find("^agent " .. words[1] .. ": [^\n]+ usage: [^\n]+\n$"), child.output)
    end
  end)

  describe("top", function()
    local window

    local function open(columns, rows)
      start()
      window = terminal.open(("%s top --socket %s/agent.sock"):format(os.getenv("AGENT"), folder), columns, rows)
      program.wait("a frame", 20, function() return window:frame() end)
    end

    local function assert_restored(code)
      local ended, before, after = window:finish()
      assert.equal(code, ended)
      assert.equal(before, after)
      assert.is_truthy(window.output:find(LEAVE .. "exit=", 1, true), "the screen was not left")
      local _, entered = window.output:gsub("\27%[%?1049h", "")
      local _, left = window.output:gsub("\27%[%?1049l", "")
      assert.equal(entered, left)
    end

    after_each(function()
      if window then window:close() end
      window = nil
    end)

    it("fills the window, and is drawn again in place", function()
      open(70, 9)
      local lines = window:frame()
      assert.equal(9, #lines)
      assert.is_truthy(lines[1]:find("^agent %S+ on "), lines[1])
      assert.is_truthy(lines[9]:find("^… and %d+ more$"), lines[9])
      for _, line in ipairs(lines) do assert.is_true(require("agent.console.text").width(line) <= 70, line) end
      local _, frames = window.output:gsub("\27%[H", "")
      program.wait("another frame", 20, function() return select(2, window.output:gsub("\27%[H", "")) > frames end)
      window:keys("q")
      assert_restored(0)
    end)

    it("follows the window's size at once", function()
      open(60, 8)
      agent.kill("sigstop") -- from now on a frame of its own comes each seven seconds only
      program.wait("the word", 20, function() return window:frame()[1]:find("NOT REACHABLE", 1, true) end)
      window:resize(70, 7)
      program.wait("a smaller frame", 6, function() return #window:frame() == 7 end)
      agent.kill("sigcont")
      window:resize(110, 20)
      program.wait("a larger frame", 20, function() return #window:frame() > 8 end)
      window:resize(30, 5)
      program.wait("a smaller frame", 20, function() return #window:frame() == 5 end)
      for _, line in ipairs(window:frame()) do assert.is_true(require("agent.console.text").width(line) <= 30, line) end
      window:keys("\3")
      assert_restored(0)
    end)

    it("gives the terminal back on signals", function()
      for signal, code in pairs({ sigterm = 143, sigint = 0, sigquit = 131 }) do
        open(80, 24)
        uv.kill(window:pid(), signal)
        assert_restored(code)
        window:close()
        agent.kill()
        agent.wait()
      end
    end)

    it("gives it back while it is stopped by Ctrl-Z, and takes it again", function()
      open(80, 24)
      window:keys("\26")
      program.wait("the stop", 20, function()
        local stat = program.read(("/proc/%d/stat"):format(window:pid()))
        return stat and stat:find("%) T ")
      end)
      assert.is_truthy(window.output:sub(-#LEAVE) == LEAVE)
      uv.kill(window:pid(), "sigcont")
      program.wait("the screen", 20, function()
        return select(2, window.output:gsub("\27%[%?1049h", "")) == 2 and window.output:find("\27%[J$")
      end)
      window:keys("q")
      assert_restored(0)
    end)

    it("says that the agent is gone, and goes on when it is back", function()
      open(100, 24)
      agent.kill("sigterm")
      agent.wait(10)
      program.wait("the word", 20, function()
        return window:frame()[1]:find("NOT REACHABLE: no agent listens", 1, true)
      end)
      start()
      program.wait("the new agent", 20, function() return window:frame()[1]:find("pid " .. agent.pid, 1, true) end)
      window:keys("q")
      assert_restored(0)
    end)

    it("prints one frame where there is no terminal", function()
      start()
      local code, output = run("top")
      assert.equal(0, code)
      assert.is_truthy(output:find("^agent %S+ on .*\nITEM +EVERY"), output)
      assert.is_nil(output:find("\27", 1, true))
    end)
  end)
end)
