local text = require("agent.console.text")

local EVIL = "x\27]0;owned\7\194\155\n日本" .. ("…"):rep(300)

-- Lines that keep to the width and hold nothing that steers a terminal.
local function check(lines, width)
  for _, line in ipairs(lines) do
    assert.is_nil(line:find("[%z\1-\31\127]"), line)
    assert.is_nil(line:find("\194[\128-\159]"), line)
    if width then assert.is_true(text.width(line) <= width, line) end
  end
  return table.concat(lines, "\n")
end

local function status(more)
  local all = {
    version = "0.5.0", commit = "abc1234", hostname = "web-3", pid = 812, uptime = 273600, namespaces = { "a.loda" },
    registry = { items = 42, age = 12,
      refused = { { ns = "a.loda", name = "PORT.x", index = 2, reason = "no port" } } },
    output = { server = "10.0.0.1:4150", state = "connected" },
    outbox = { messages = 3, bytes = 900, published = 1234, published_bytes = 99999, dropped = { full = 7 } },
    schedules = { CPU = { interval = 10, runs = 5, last_ms = 0.3, missed = 0, errors = 0 },
      FS = { interval = 300, runs = 2, last_ms = 12, missed = 1, errors = 1, last_error = "hangs" },
      ["PLUGIN a.loda|mysql"] = { interval = 60, runs = 1, last_ms = 400, errors = 1, missed = 0, last_error = "no" } },
    stall_ms = 7.5, errors = 0, memory = { rss = 3.5 * 2 ^ 20, lua = 2 ^ 20 }, cpu_seconds = 3,
    plugins = { not_held = { limits = "plugins.memory", reason = "no cgroup v2" } },
  }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

local plugins = {
  { ns = "a.loda", name = "mysql", item = "PLUGIN.db", project = "dba/mysql", interval = 60, enabled = true,
    running = false, commit = ("a1b2c3d4"):rep(5),
    last = { status = 1, reason = "exit status 3: no socket", at = 940, seconds = 0.4 } },
  { ns = "a.loda", name = "raid", item = "PLUGIN.raid", project = "ops/raid", interval = 0, enabled = false,
    running = true, commit = ("b"):rep(40) },
  { ns = "b.loda", name = "raid", item = "PLUGIN.raid", project = "ops/raid", interval = 0, enabled = true,
    error = "no route to git", running = false },
}

local function evil(value)
  if type(value) ~= "table" then return type(value) == "string" and EVIL or value end
  local copy = {}
  for key, one in pairs(value) do copy[key] = evil(one) end
  return copy
end

describe("the screen of agent status", function()
  local view = require("agent.console.view.status")
  local good = { healthy = true, reasons = {} }

  it("tells all there is to know, in a line each", function()
    local page = check(view.lines({ status = status(), health = good, plugins = plugins }))
    for _, line in ipairs({
      "agent       0.5.0 (abc1234) on web-3, pid 812, up 3 d 4 h", "health      healthy", "namespaces  a.loda",
      "registry    42 items, answer 12 s old", "refused     a.loda PORT.x: no port",
      "output      10.0.0.1:4150 connected: 1,234 messages published (97.7 KiB)",
      "queue       3 messages, 900 B; dropped: 7 full", "slowest     PLUGIN a.loda|mysql 400 ms, FS 12 ms, CPU 0.30 ms",
      "failing     FS: hangs", "plugins     3, 1 running, 2 failing, 1 disabled",
      "            plugins.memory: not held here, no cgroup v2",
      "            a.loda mysql: exit status 3: no socket", "            b.loda raid: no route to git",
      "memory      3.5 MiB RSS, 1.0 MiB of it Lua", "stall       longest 7.50 ms, 0 internal errors",
    }) do
      assert.is_truthy(("\n" .. page .. "\n"):find("\n" .. line .. "\n", 1, true), line .. "\nis not in\n" .. page)
    end
  end)

  it("says why it isn't healthy, and cuts long lists short", function()
    local refused = {}
    for i = 1, 40 do refused[i] = { ns = "a.loda", name = "x" .. i, reason = "bad" } end
    local page = check(view.lines({ status = status({ registry = { refused = refused, last_error = "no route" } }),
      health = { healthy = false, reasons = { "no output", "no registry" } } }))
    assert.is_truthy(page:find("health      NOT HEALTHY: no output\n            NOT HEALTHY: no registry\n", 1, true))
    assert.is_truthy(page:find("… and 35 more", 1, true))
    assert.is_truthy(page:find("last error: no route", 1, true))
    assert.is_true(select(2, page:gsub("\n", "")) < 25)
  end)

  it("shows each output with its queue and spool", function()
    local page = check(view.lines({ health = good, status = status({ outputs = {
      { required = true, output = { name = "nsq", server = "a:1", state = "connected" }, outbox = { messages = 0 },
        spool = { bytes = 2048, files = 2, age = 90, state = "ok" } },
      { required = false, output = { name = "influxdb", last_error = { message = "401" } }, outbox = {} } } }) }))
    assert.is_truthy(page:find("output      nsq a:1 connected", 1, true), page)
    assert.is_truthy(page:find("spool       2.0 KiB, 2 files, oldest 90 s", 1, true), page)
    assert.is_truthy(page:find("output      influxdb: - messages published (-), best effort", 1, true), page)
    assert.is_truthy(page:find("last error: 401", 1, true))
  end)

  it("stands a status that holds nothing, or what would steer a terminal", function()
    check(view.lines({ status = {}, health = good }))
    for _, width in ipairs({ 1, 20, 80, 200 }) do
      check(view.lines({ status = evil(status()), health = { healthy = false, reasons = { EVIL } },
        plugins = evil(plugins) }, width), width)
    end
  end)
end)

describe("the table of agent plugins", function()
  local view = require("agent.console.view.plugins")

  it("has a line for each, with state and reason", function()
    local lines = view.lines(plugins, 1000)
    assert.same({
      "NS      NAME     EVERY  ENABLED  COMMIT    LAST RUN    TOOK  STATUS       REASON",
      "a.loda  mysql     60 s  yes      a1b2c3d4  60 s ago  400 ms  failed       exit status 3: no socket",
      "a.loda  raid   on call  no       bbbbbbbb         -       -  running",
      "b.loda  raid   on call  yes      -                -       -  no checkout  no route to git",
    }, lines)
    assert.same({ "no plugins" }, view.lines({}, 0))
    check(view.lines(evil(plugins), 1000, 80), 80)
  end)

  it("finds a plugin by any name a person may use", function()
    for _, name in ipairs({ "mysql", "PLUGIN.db", "db", "dba/mysql", "git@git.example.org:dba/mysql.git" }) do
      assert.equal(plugins[1], (view.find(plugins, "a.loda", name)), name)
    end
    assert.equal(plugins[3], (view.find(plugins, "b.loda", "raid")))
  end)

  it("says what there is when it finds none, or too many", function()
    assert.same({ nil, "no plugin mysq in a.loda; there are mysql, raid" }, { view.find(plugins, "a.loda", "mysq") })
    assert.same({ nil, "no plugins in c.loda; `agent plugins` lists all" }, { view.find(plugins, "c.loda", "raid") })
    local two = { { ns = "a", name = "x", project = "g/x" },
      { ns = "a", name = "y", item = "PLUGIN.x", project = "h/y" } }
    assert.same({ nil, "x in a may be any of g/x, h/y" }, { view.find(two, "a", "x") })
  end)
end)

describe("what agent update shows", function()
  local lines = require("agent.console.view.update").lines

  it("is the difference, with the reasons of what was refused", function()
    assert.same({
      "+ a.loda PORT PORT.ssh", "~ a.loda CPU cpu.idle", "- b.loda PROC PROC.x", "refused a.loda PORT.y: no port",
      "refused a.loda item 3: no name", "failed c.loda: HTTP status 500", "applied log.loglevel",
      "needs a restart: agent.listen", "1 added, 1 changed, 1 removed, 2 refused, in 12 ms",
    }, lines({ added = { "a.loda PORT PORT.ssh" }, changed = { "a.loda CPU cpu.idle" },
      removed = { "b.loda PROC PROC.x" }, refused = { { ns = "a.loda", name = "PORT.y", reason = "no port" },
        { ns = "a.loda", index = 3, reason = "no name" } },
      errors = { { ns = "c.loda", message = "HTTP status 500" } }, applied = { "log.loglevel" },
      restart = { "agent.listen" }, seconds = 0.012 }))
  end)

  it("is the reason when there was no answer", function()
    assert.same({ "not updated: no route" }, lines({ error = "no route", added = {} }))
    check(lines({ error = EVIL, refused = { evil({ ns = "a", name = "b", reason = "c" }) } }, 60), 60)
  end)
end)

describe("a point of agent tail", function()
  local line = require("agent.console.view.point").line
  local at = 1714557600
  local clock = os.date("%H:%M:%S", at)

  it("is a line: time, namespace, name, value, tags", function()
    assert.equal(clock .. " a.loda cpu.idle 93.5 core=1 host=x", line({ ns = { "a.loda" }, measurement = "cpu.idle",
      timestamp = at, tags = { host = "x", core = "1" }, fields = { value = 93.5 } }))
    assert.equal(clock .. " a.loda RUN.x 9007199254740991", line({ ns = "a.loda", measurement = "RUN.x",
      timestamp = at, value = 2 ^ 53 - 1 }))
    assert.equal(clock .. " a,b RUN.ok true", line({ ns = { "a", "b" }, measurement = "RUN.ok", timestamp = at,
      value = true }))
  end)

  it("is nothing for what isn't a point, and harmless for what isn't meant well", function()
    assert.is_nil(line(nil))
    assert.is_nil(line({ comment = "hello" }))
    check({ line(evil({ ns = { "a" }, measurement = "b", tags = { c = "d" }, value = "e" }), 40) }, 40)
    check({ line({ ns = "a", measurement = "b", tags = { [EVIL] = EVIL }, value = { EVIL } }) })
  end)
end)

describe("the screen of agent top", function()
  local view = require("agent.console.view.top")
  local function model(more)
    local all = { status = status(), health = { healthy = true, reasons = {} }, plugins = plugins,
      longest = { FS = 40 }, rates = { messages = 2.5, bytes = 2048, cpu = 0.25, seconds = 30 } }
    for key, value in pairs(more or {}) do all[key] = value end
    return all
  end

  it("shows cost, queue and plugins, then the items by their last run", function()
    local lines = view.lines(model())
    assert.same({
      "agent 0.5.0 on web-3, pid 812, up 3 d 4 h — healthy",
      "cpu 0.25 %, memory 3.5 MiB (Lua 1.0 MiB), longest stall 7.50 ms, 0 internal errors",
      "published 2.5 messages/s, 2.0 KiB/s (last 30 s); queue 3 messages, 900 B; 7 dropped",
      "plugins 3, 1 running, 2 failing; running: raid; failing: mysql (exit status 3: no socket), "
        .. "raid (no route to git)",
      "",
      "ITEM                 EVERY  RUNS     LAST  LONGEST  MISSED  ERRORS  LAST ERROR",
      "PLUGIN a.loda|mysql   60 s     1   400 ms        -       0       1  no",
      "FS                   5 min     2    12 ms    40 ms       1       1  hangs",
      "CPU                   10 s     5  0.30 ms        -       0       0",
    }, lines)
  end)

  it("says when the agent is gone, or isn't healthy", function()
    assert.is_truthy(view.lines(model({ trouble = "it ended" }))[1]:find("— NOT REACHABLE: it ended", 1, true))
    assert.is_truthy(view.lines(model({ health = { healthy = false, reasons = { "no output" } } }))[1]
      :find("— NOT HEALTHY: no output", 1, true))
  end)

  it("fits every window, whatever it is told", function()
    local many = status()
    for i = 1, 500 do many.schedules["ITEM" .. i .. EVIL] = { last_ms = i, last_error = EVIL } end
    for _, size in ipairs({ { 1, 1 }, { 10, 3 }, { 80, 24 }, { 200, 60 } }) do
      local lines = view.lines(model({ status = many, plugins = evil(plugins), trouble = EVIL }), size[1], size[2])
      assert.is_true(#lines <= size[2])
      check(lines, size[1])
    end
    local lines = view.lines(model({ status = many }), 80, 24)
    assert.equal(24, #lines)
    assert.equal("… and 486 more", lines[24])
    check(view.lines({ status = {}, health = { reasons = {} }, longest = {}, rates = { messages = 0, seconds = 0 } }))
  end)
end)
