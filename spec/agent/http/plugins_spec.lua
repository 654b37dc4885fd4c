local ask = require("http_fakes").ask
local cjson = require("cjson")

local REPO = "git@git.example.org:ops/mysql.git"

local function setup()
  local box = { calls = {} }
  local plugin = { record = { ns = "a.loda", name = "PLUGIN.mysql", dir = "mysql" }, tree = { commit = "abc" } }
  local function answering(name)
    return function(_, callback)
      table.insert(box.calls, name)
      callback(box.err, box.answer)
    end
  end
  local router = require("agent.http.router").new()
  require("agent.http.plugins").register(router, "GET POST", { plugins = {
    list = function() return box.list end,
    find = function(ns, project, repo)
      return ns == "a.loda" and (project == "ops/mysql" or repo == "https://h/ops/mysql.git") and plugin or nil
    end,
    update = answering("update"), disable = answering("disable"), enable = answering("enable"),
    call = function(_, seconds, args, callback)
      table.insert(box.calls, { seconds, args })
      if box.hold then box.finish = callback else callback(box.err, box.answer) end
    end,
  } })
  function box.get(path, query, json)
    local reply = ask(router, "GET", path, { query = query or { ns = "a.loda", repo = REPO },
      headers = { accept = json and "application/json" or nil } })
    return reply
  end
  return box
end

describe("/plugins", function()
  it("list has a line for each scheduled plugin, JSON has all that is known", function()
    local box = setup()
    box.list = {
      { ns = "a.loda", name = "mysql", interval = 60, enabled = true, commit = "abc" },
      { ns = "a.loda", name = "nginx", interval = 10, enabled = false },
      { ns = "b.loda", name = "call", interval = 0, enabled = true },
    }
    assert.equal("a.loda|mysql enabled:true\na.loda|nginx enabled:false\n", box.get("/plugins/list").body)
    local list = cjson.decode(box.get("/plugins/list", {}, true).body)
    assert.same({ 3, "abc" }, { #list, list[1].commit })
    box.list = {}
    assert.equal("", box.get("/plugins/list").body)
    assert.equal("[]", box.get("/plugins/list", {}, true).body)
  end)

  it("calls answer the contract's check errors, with 200 in text and the fitting status in JSON", function()
    local box = setup()
    for query, expected in pairs({
      [{}] = { "invalid ns or repo\n", 400 }, [{ ns = "a.loda" }] = { "invalid ns or repo\n", 400 },
      [{ ns = "x", repo = "nonsense" }] = { "invalid repo\n", 400 },
      [{ ns = "x", repo = REPO }] = { "plugin doesn't exist, add to loda first please\n", 404 },
    }) do
      for _, path in ipairs({ "update", "run", "disable", "enable" }) do
        local text = box.get("/plugins/" .. path, query)
        assert.same({ 200, expected[1] }, { text.status, text.body })
        assert.equal(expected[2], box.get("/plugins/" .. path, query, true).status)
      end
    end
    assert.same({}, box.calls)
  end)

  it("update, disable and enable say how it went", function()
    local box = setup()
    assert.equal("update successfully\n", box.get("/plugins/update").body)
    assert.equal("plugin disabled successfully\n", box.get("/plugins/disable").body)
    assert.equal("plugin enabled successfully\n", box.get("/plugins/enable").body)
    assert.same({ msg = "update successfully", changed = false, commit = "abc" },
      cjson.decode(box.get("/plugins/update", nil, true).body))
    box.err = { code = "timeout", message = "no answer" }
    assert.equal("update failed: no answer\n", box.get("/plugins/update").body)
    assert.equal(502, box.get("/plugins/update", nil, true).status)
    assert.equal("failed to disable plugin: no answer\n", box.get("/plugins/disable").body)
    assert.equal("failed to Enable plugin: no answer\n", box.get("/plugins/enable").body)
    assert.equal(500, box.get("/plugins/enable", nil, true).status)
  end)

  it("calls know a plugin by its URL too", function()
    assert.equal("update successfully\n",
      setup().get("/plugins/update", { ns = "a.loda", repo = "https://h/ops/mysql.git" }).body)
  end)

  local function run(box, more, json)
    local query = { ns = "a.loda", repo = REPO }
    for name, value in pairs(more or {}) do query[name] = value end
    return box.get("/plugins/run", query, json)
  end

  it("run has a timeout of ten seconds and no argument unless it is told", function()
    local box = setup()
    assert.equal("run plugin successfully", run(box).body)
    assert.same({ 10, {} }, box.calls[1])
    run(box, { timeout = "3", param = "-a  b" })
    assert.same({ 3, { "-a", "b" } }, box.calls[2])
    assert.equal("run plugin successfully", run(box, { timeout = "600" }).body)
    assert.equal("run plugin successfully", run(box, { timeout = "3600", wait = "0" }).body)
    for _, bad in ipairs({ "x", "-1", "1.5", "1e3", "601" }) do
      assert.equal("invalid timeout\n", run(box, { timeout = bad }).body)
    end
    assert.matches("^run plugin a.loda PLUGIN.mysql accurs an error:parameters: ; is not allowed\n$",
      run(box, { param = "a;b" }).body)
    assert.equal(4, #box.calls)
  end)

  it("run says what went wrong, in JSON also what was printed", function()
    local box = setup()
    box.err = { code = "busy", message = "plugin is running" }
    assert.equal("plugin is running", run(box).body)
    assert.equal(409, run(box, nil, true).status)
    box.err = { code = "failed", message = "exit status 1" }
    box.answer = { commit = "abc", result = { code = 1, signal = 0, duration_ms = 5, stdout = "out", stderr = "err" } }
    assert.equal("run plugin a.loda PLUGIN.mysql accurs an error:exit status 1\n", run(box).body)
    local reply = run(box, nil, true)
    assert.equal(500, reply.status)
    local body = cjson.decode(reply.body)
    assert.same({ "out", "err", 1, "abc" }, { body.stdout, body.stderr, body.exit_code, body.commit })
  end)

  it("run with wait=0 answers at once, but still says that it is running already", function()
    local box = setup()
    box.hold = true
    local reply = run(box, { wait = "0" })
    assert.equal("plugin started\n", reply.body)
    box.finish(nil, {})
    assert.equal(1, reply.sent)
    box.hold, box.err = false, { code = "busy", message = "plugin is running" }
    assert.equal("plugin is running", run(box, { wait = "0" }).body)
  end)
end)
