-- `agent plugins` against the control API's routes with plugins that the test makes up: what they answer, and when.
local program = require("program")
local uv = require("luv")

local COMMIT = ("a1b2c3d4"):rep(5)

describe("agent plugins", function()
  local folder, server, room, children

  -- The plugin room as the routes know it (agent.http.plugins).
  local function make_room()
    local all = {
      { ns = "a.loda", name = "mysql", item = "PLUGIN.db", project = "dba/mysql", interval = 60, enabled = true,
        running = false, commit = COMMIT,
        last = { status = 1, reason = "exit \27[31mstatus 3", at = 0, seconds = 0.2 } },
      { ns = "a.loda", name = "raid", item = "PLUGIN.raid", project = "ops/raid", interval = 0, enabled = false,
        running = false },
    }
    local made = { calls = {}, result = { code = 0, signal = 0, duration_ms = 12, stdout = "", stderr = "" } }
    local function note(...) table.insert(made.calls, { ... }) end
    function made.list() return all end
    function made.find(ns, project)
      for _, one in ipairs(all) do
        if one.ns == ns and one.project == project then
          return { record = { name = one.item }, name = one.name, tree = { commit = COMMIT } }
        end
      end
    end
    function made.call(plugin, seconds, args, done)
      note("run", plugin.name, seconds, args)
      if made.silent then return end
      done(made.err, { result = made.result, commit = COMMIT })
    end
    function made.update(plugin, done)
      note("update", plugin.name)
      done(made.err, made.changed)
    end
    function made.enable(plugin, done)
      note("enable", plugin.name)
      done(made.err)
    end
    function made.disable(plugin, done)
      note("disable", plugin.name)
      done(made.err)
    end
    return made
  end

  before_each(function()
    folder, children, room = program.folder(), {}, make_room()
    local router = require("agent.http.router").new()
    require("agent.http.plugins").register(router, "GET POST", { plugins = room })
    router:route("GET", "/me/ns", function(_, reply)
      if not room.silent then return reply:send(200, {}, "[]") end
      room.kept = reply
    end)
    server = assert(require("host.http").listen({ path = folder .. "/agent.sock",
      on_request = function(request, reply) return router:handle(request, reply) end }))
  end)

  after_each(function()
    room.kept = nil
    server:close()
    for _, child in ipairs(children) do
      child.kill()
      child.wait()
    end
    program.remove(folder)
  end)

  local function run(...)
    local child = program.agent({ "plugins", "--socket", folder .. "/agent.sock", ... })
    children[#children + 1] = child
    return child.wait(30), child.stdout, child.output
  end

  it("lists them with what is wrong, harmless to the terminal", function()
    for _, words in ipairs({ {}, { "list" } }) do
      local code, stdout = run(unpack(words))
      assert.equal(0, code)
      assert.is_truthy(stdout:find("^NS +NAME +EVERY +ENABLED +COMMIT +LAST RUN +TOOK +STATUS +REASON\n"), stdout)
      local line = "\na.loda +mysql +60 s +yes +a1b2c3d4 +%d+ d %d+ h ago +200 ms +failed +exit "
      assert.is_truthy(stdout:find(line), stdout)
      assert.is_truthy(stdout:find("\na.loda +raid +on call +no "), stdout)
      assert.is_nil(stdout:find("\27", 1, true))
    end
    local _, json = run("--json")
    assert.equal("mysql", require("cjson").decode(json)[1].name)
  end)

  it("runs one by a name that a person would type, and hands its output on as it is", function()
    room.result.stdout, room.result.stderr = "a\0b\27\n", "warning\n"
    local code, stdout, output = run("run", "a.loda", "PLUGIN.db", "--timeout", "30", "--", "-a", "50%", "b&c")
    assert.equal(0, code)
    assert.equal("a\0b\27\n", stdout)
    assert.is_truthy(output:find("warning\n", 1, true))
    local said = "agent plugins: done: exit status 0, after 12 ms, commit a1b2c3d4\n"
    assert.is_truthy(output:find(said, 1, true), output)
    assert.same({ { "run", "mysql", 30, { "-a", "50%", "b&c" } } }, room.calls)
  end)

  it("ends with 1 when the run failed, with why", function()
    room.err = { code = "failed", message = "exit status 3: no socket" }
    room.result = { code = 3, signal = 0, duration_ms = 5, stdout = "half", stderr = "" }
    local code, stdout, output = run("run", "a.loda", "mysql")
    assert.same({ 1, "half" }, { code, stdout })
    assert.is_truthy(output:find("failed: exit status 3: no socket (exit status 3, after 5.00 ms", 1, true), output)
    assert.same({ "run", "mysql", 10, {} }, room.calls[1])
    room.err = { code = "busy", message = "plugin is running" }
    code, stdout, output = run("run", "a.loda", "mysql")
    assert.equal(1, code)
    assert.equal("agent plugins: plugin is running\n", output)
    assert.equal("", stdout)
    code, stdout, output = run("run", "a.loda", "mysql", ";", "reboot")
    assert.equal(1, code)
    assert.is_truthy(output:find("parameters: ; is not allowed", 1, true), output)
    assert.equal("", stdout)
  end)

  it("updates, enables and disables", function()
    room.changed = true
    local function done(said, ...)
      local code, stdout = run(...)
      assert.same({ 0, said .. "\n" }, { code, stdout })
    end
    done("updated to a1b2c3d4", "update", "a.loda", "dba/mysql")
    room.changed = false
    done("nothing new, it stays at a1b2c3d4", "update", "a.loda", "mysql")
    done("plugin disabled successfully", "disable", "a.loda", "raid")
    done("plugin enabled successfully", "enable", "a.loda", "git@example.org:ops/raid.git")
    assert.same({ { "update", "mysql" }, { "update", "mysql" }, { "disable", "raid" }, { "enable", "raid" } },
      room.calls)
    room.err = { code = "timeout", message = "no answer from git" }
    local code, stdout, output = run("update", "a.loda", "mysql")
    assert.equal(1, code)
    assert.same({ "", "agent plugins: update failed: no answer from git\n" }, { stdout, output })
    code, stdout, output = run("disable", "a.loda", "raid")
    assert.equal(1, code)
    assert.same({ "", "agent plugins: failed to disable plugin: no answer from git\n" }, { stdout, output })
  end)

  it("says which plugins there are when none is meant", function()
    local code, stdout, output = run("run", "a.loda", "msyql")
    assert.same({ 1, "" }, { code, stdout })
    assert.equal("agent plugins: no plugin msyql in a.loda; there are mysql, raid\n", output)
    assert.same({}, room.calls)
  end)

  it("gives up on an agent that stops answering during a long run", function()
    local child = program.agent({ "plugins", "--socket", folder .. "/agent.sock", "run", "--timeout", "600", "a.loda",
      "mysql" })
    children[1] = child
    room.silent = true
    local began = uv.hrtime()
    assert.equal(2, child.wait(40))
    assert.equal("run", room.calls[1][1])
    assert.is_truthy(child.output:find("does not answer (waited 5 s)", 1, true), child.output)
    assert.is_true(uv.hrtime() - began > 4.9e9)
  end)

  it("shows a terminal nothing that would steer it", function()
    room.result.stdout = "one\27[2Jtwo\7\194\155\nthree"
    local window = require("terminal").open(("%s plugins --socket %s/agent.sock run a.loda mysql")
      :format(os.getenv("AGENT"), folder), 80, 24)
    assert.equal(0, (window:finish(20)))
    window:close()
    assert.is_nil(window.output:find("[%z\7\27]"))
    local unknown = "\239\191\189"
    assert.is_truthy(window.output:find("one" .. unknown .. "%[2Jtwo" .. unknown .. unknown .. "\r+\nthree\r"),
      window.output)
  end)
end)

describe("agent plugins, with a real one from git", function()
  local folder, agent

  before_each(function() folder = program.folder() end)
  after_each(function()
    agent.kill("sigterm")
    agent.wait(15)
    program.remove(folder)
  end)

  local function run(...)
    local child = program.agent({ "plugins", "-f", folder .. "/agent.lua", ... })
    return child.wait(60), child.stdout, child.output
  end

  it("runs, disables, enables and updates it", function()
    local repository = require("repository")
    uv.fs_chmod(folder, tonumber("755", 8))
    repository.commit(folder, "ops/mysql",
      { ["plugin.sh"] = 'echo "out $*"; echo oops >&2; [ "$1" != bad ] || exit 3' })
    local path = program.configure(folder, { agent = { git = repository.format(folder) } }, { ["a.loda"] = {
      { measurement_type = "PLUGIN", name = "PLUGIN.db", git = repository.address("ops/mysql"), interval = "0" } } })
    agent = program.agent({ "start", "-f", path })
    program.ready(folder, agent)
    program.wait("the checkout", 30, function()
      return select(2, run()):find("a.loda +mysql +on call +yes +%x+ .* never run")
    end)
    local code, stdout, output = run("run", "a.loda", "db", "--", "-a", "b")
    assert.same({ 0, "out -a b\n" }, { code, stdout })
    assert.is_truthy(output:find("oops\n", 1, true) and output:find("done: exit status 0, after ", 1, true), output)
    code, stdout, output = run("run", "a.loda", "mysql", "bad")
    assert.same({ 1, "out bad\n" }, { code, stdout })
    assert.is_truthy(output:find("failed: exit status 3: oops (exit status 3, after ", 1, true), output)
    assert.is_truthy(select(2, run()):find(" failed +exit status 3: oops\n"))
    assert.equal(0, (run("disable", "a.loda", "mysql")))
    assert.is_truthy(select(2, run()):find("mysql +on call +no "))
    assert.equal(0, (run("enable", "a.loda", "ops/mysql")))
    assert.is_truthy(select(2, run()):find("mysql +on call +yes "))
    local commit = repository.commit(folder, "ops/mysql", { ["plugin.sh"] = "echo new" })
    code, stdout = run("update", "a.loda", repository.address("ops/mysql"))
    assert.same({ 0, ("updated to %s\n"):format(commit:sub(1, 8)) }, { code, stdout })
    assert.equal("new\n", (select(2, run("run", "a.loda", "mysql"))))
  end)
end)
