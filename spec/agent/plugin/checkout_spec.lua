-- What the checkout does when, with a worker that answers when it is told to.
local checkout = require("agent.plugin.checkout")

local CONF = { pluginsdir = "/plugins", git = "https://u:secret@h/%s.git", gitschemes = { "https" }, gitkey = "",
  gitknownhosts = "", gitca = "", gittoken = "", gitdeadline = 60, gitmaxsize = 2 ^ 20, gitmaxfiles = 10 }

describe("the checkout", function()
  local started, object, answers, logged

  before_each(function()
    started, answers, logged = {}, {}, {}
    object = checkout.new({ conf = CONF, log = { warning = function(_, message) logged[#logged + 1] = message end },
      run = function(name, request, options, callback)
        assert.equal("git", name)
        started[#started + 1] = { request = request, options = options, done = callback }
      end })
  end)

  local function record(name, ns) return { ns = ns or "a.loda", git = "git@h:ops/" .. name .. ".git" } end

  local function ensure(...)
    object:ensure(record(...), function(...) answers[#answers + 1] = { ... } end)
  end

  local function update(...)
    object:update(record(...), function(...) answers[#answers + 1] = { ... } end)
  end

  -- Answers the look that is the last job: nothing is there.
  local function nothing_there(job)
    for i = 1, #job.request.items do job.options.on_item({ i }) end
    job.done(nil)
  end

  local function tidy()
    assert.equal("clean", started[1].request.what)
    table.remove(started, 1).done(nil)
  end

  it("tidies up before anything else, and goes on when that fails", function()
    ensure("x")
    assert.equal(1, #started)
    table.remove(started, 1).done({ code = "timeout", message = "worker git: no answer in time" })
    assert.equal(1, #logged)
    assert.equal("look", started[1].request.what)
  end)

  it("looks for all plugins of a start with one worker", function()
    for i = 1, 50 do ensure("x" .. i) end
    tidy()
    assert.equal(1, #started)
    assert.equal(50, #started[1].request.items)
  end)

  it("has two workers at most, and never two of one plugin", function()
    ensure("x")
    tidy()
    for _ = 1, 3 do update("x") end
    for i = 1, 5 do update("y" .. i) end
    assert.equal(2, #started)
    assert.same({ "look", "fetch" }, { started[1].request.what, started[2].request.what })
    assert.equal("y1", started[2].request.job.dir)
    started[2].done(nil, {})
    assert.equal("y2", started[3].request.job.dir)
    nothing_there(started[1])
    assert.equal("x", started[4].request.job.dir) -- the clone that follows the look, before the updates
    assert.same({ workers = 2, waiting = 6 }, object:status())
  end)

  it("names a server that does not answer, without the password, and removes what was begun", function()
    update("x")
    tidy()
    started[1].done({ code = "timeout", message = "worker git: no answer in time" })
    assert.same({ code = "timeout", message = "https://h/ops/x.git: not done within 60 s" }, answers[1][1])
    assert.equal("remove", started[2].request.what)
    assert.equal(started[1].request.job.unique, started[2].request.items[1].staging)
    started[2].done(nil)
    update("x")
    started[3].done({ code = "crashed", message = "worker git: killed by signal 9" })
    assert.same({ code = "crashed", message = "https://h/ops/x.git: worker git: killed by signal 9" }, answers[2][1])
  end)

  it("passes on what the worker found", function()
    update("x")
    tidy()
    started[1].done({ code = "failed", message = "worker git: x", detail = { code = "auth", message = "no" } })
    assert.same({ { code = "auth", message = "no" } }, answers[1])
    assert.equal(1, #started)
  end)

  it("does not clone when the disk does not answer", function()
    ensure("x")
    tidy()
    started[1].done({ code = "timeout", message = "worker git: no answer in time" })
    assert.equal("timeout", answers[1][1].code)
    assert.equal(1, #started)
  end)
end)
