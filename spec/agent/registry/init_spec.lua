local Cache = require("agent.registry.cache")
local Registry = require("agent.registry")

local function cpu(interval)
  return { measurement_type = "CPU", name = "cpu.idle", interval = interval }
end

local function port(name, number)
  return { measurement_type = "PORT", name = name, port = number or "22" }
end

local function good(namespaces)
  local answer = { namespaces = {}, ids = {} }
  for ns, items in pairs(namespaces) do
    answer.namespaces[ns] = { items = items }
    answer.ids[ns] = "id of " .. ns
  end
  return answer
end

-- A registry whose source answers t.answer or t.err; t.lines is the log, t.applied the sets applied.
local function setup(options)
  local t = { lines = {}, applied = {}, asked = 0, clock = 1000, saved = {} }
  local function line(level)
    return function(_, text, fields) t.lines[#t.lines + 1] = { level = level, text = text, fields = fields or {} } end
  end
  t.options = {
    now = function() return t.clock end, wall = function() return 1714557600 + t.clock end,
    later = function(fn) fn() end,
    apply = function(records) t.applied[#t.applied + 1] = records end,
    log = { info = line("info"), warning = line("warning"), error = line("error") },
    source = { fetch = function(_, callback, known)
      t.asked, t.known = t.asked + 1, known
      t.reply = function() callback(t.err, t.answer) end
      if not t.hold then t.reply() end
    end },
    cache = {
      load = function(_, callback) callback(not t.state and { code = "ENOENT", message = "none" } or nil, t.state) end,
      save = function(_, state, callback) t.saved[#t.saved + 1] = state callback() end,
      items_text = Cache.items_text, text_items = Cache.text_items,
    },
  }
  for key, value in pairs(options or {}) do t.options[key] = value end
  t.registry = Registry.new(t.options)
  function t.update(answer)
    t.answer, t.err = answer, not answer and { code = "timeout", message = "no answer in 10 s" } or nil
    local err, change
    t.registry:update(function(...) err, change = ... end)
    return err, change
  end
  return t
end

describe("the registry", function()
  it("knows the namespaces, sorted, and the shortest interval asked for", function()
    local t = setup()
    t.update(good({ ["web.loda"] = { cpu("30") }, ["db.loda"] = { cpu(20), cpu("soon") }, ["empty.loda"] = {} }))
    assert.same({ "db.loda", "empty.loda", "web.loda" }, t.registry:namespaces())
    assert.equal(20, t.registry:interval("CPU"))
    assert.is_nil(t.registry:interval("NET"))
    assert.equal("id of web.loda", t.registry.ids["web.loda"])
  end)

  it("tells what was added, changed and removed, and applies only what is news", function()
    local t = setup()
    t.update(good({ ["a.loda"] = { port("x"), port("y") } }))
    assert.equal(1, #t.applied)
    t.update(good({ ["a.loda"] = { port("x"), port("y") } }))
    assert.equal(1, #t.applied)
    local _, change = t.update(good({ ["a.loda"] = { port("x"), port("y", "23"), port("z") }, ["b.loda"] = {} }))
    assert.same({ "a.loda PORT z" }, change.added)
    assert.same({ "a.loda PORT y" }, change.changed)
    assert.same({}, change.removed)
    assert.equal(2, #t.applied)
    _, change = t.update(good({ ["b.loda"] = {} }))
    assert.same({ "a.loda PORT x", "a.loda PORT y", "a.loda PORT z" }, change.removed)
    assert.same({ "b.loda" }, t.registry:namespaces())
    t.update(good({}))
    assert.same({}, t.registry:namespaces())
    assert.equal(4, #t.applied)
  end)

  it("refuses item by item, naming namespace, item and reason, once in the log", function()
    local t = setup()
    local answer = good({ ["a.loda"] = { "text", port("p", "0"), cpu("10") }, ["not valid"] = {}, ["b.loda"] = "text" })
    local _, change = t.update(answer)
    assert.same({ "a.loda" }, t.registry:namespaces())
    assert.equal(1, #t.registry.records)
    assert.equal(4, #change.refused)
    assert.equal(4, #t.lines)
    assert.same({ ns = "a.loda", item = "p", index = 2 }, t.lines[2].fields)
    assert.matches("port", t.lines[2].text)
    t.update(answer)
    assert.equal(4, #t.lines)
    t.update(good({ ["a.loda"] = {} }))
    t.update(answer)
    assert.equal(8, #t.lines)
  end)

  it("keeps the items of a namespace that failed, and applies the others", function()
    local t = setup()
    t.update(good({ ["a.loda"] = { port("x") }, ["b.loda"] = { port("y") } }))
    local answer = good({ ["a.loda"] = { port("x"), port("z") } })
    answer.namespaces["b.loda"] = { error = { code = "500", message = "node not found" } }
    local err, change = t.update(answer)
    assert.is_nil(err)
    assert.same({ "a.loda PORT z" }, change.added)
    assert.same({}, change.removed)
    assert.same({ { ns = "b.loda", code = "500", message = "node not found" } }, change.errors)
    assert.same({ "a.loda", "b.loda" }, t.registry:namespaces())
  end)

  it("keeps what it knew when the source fails", function()
    local t = setup()
    t.update(good({ ["a.loda"] = { port("x") } }))
    t.clock = t.clock + 60
    assert.equal("timeout", t.update(nil).code)
    assert.same({ "a.loda" }, t.registry:namespaces())
    assert.equal(60, t.registry:age())
    assert.equal(1, #t.applied)
    assert.matches("no answer in 10 s", t.registry:status().last_error)
  end)

  it("hands its source the digests it knows, and keeps what is the same", function()
    local t = setup()
    local answer = good({ ["a.loda"] = { port("x") } })
    answer.namespaces["a.loda"].digest = "d1"
    t.update(answer)
    local _, change = t.update({ namespaces = { ["a.loda"] = { same = true, digest = "d1" } } })
    assert.same({ ["a.loda"] = "d1" }, t.known)
    assert.same({}, change.errors)
    assert.same({}, change.removed)
    assert.equal(1, #t.registry.records)
    assert.equal(1, #t.applied)
    t.update({ namespaces = { ["a.loda"] = { same = true, digest = "d1" }, ["new.loda"] = { same = true } } })
    assert.matches("lost", t.registry.errors[1].message)
  end)

  it("shares one question among concurrent updates", function()
    local t = setup()
    t.hold, t.answer = true, good({})
    local answers = 0
    for _ = 1, 3 do t.registry:update(function() answers = answers + 1 end) end
    t.reply()
    assert.equal(1, t.asked)
    assert.equal(3, answers)
    t.registry:update(function() end)
    assert.equal(2, t.asked)
  end)

  it("does yesterday's work from the cache, and says how old it is", function()
    local t = setup()
    t.state = { saved = 1714557600 + 1000 - 7200,
      namespaces = { { "a.loda", "0d9a", Cache.items_text({ port("x") }) } } }
    local found
    t.registry:restore(function(yes) found = yes end)
    assert.is_true(found)
    assert.same({ "a.loda" }, t.registry:namespaces())
    assert.equal(1, #t.applied)
    assert.equal(7200, t.registry:age())
    assert.is_true(t.registry:status().from_cache)
    t.update(good({ ["a.loda"] = { port("x") } }))
    assert.equal(0, t.registry:age())
    assert.is_nil(t.registry:status().from_cache)
    assert.equal(1, #t.applied)
    assert.equal(1, #t.saved)
  end)

  it("begins with nothing where the cache is of no use", function()
    local t = setup()
    local found
    t.registry:restore(function(yes) found = yes end)
    assert.is_false(found)
    assert.equal(0, #t.lines)
    t.options.cache.load = function(_, callback) callback({ code = "EBADMSG", message = "damaged" }) end
    t.registry:restore(function(yes) found = yes end)
    assert.is_false(found)
    assert.equal("warning", t.lines[1].level)
  end)

  it("writes the cache when something changed, else every ten minutes", function()
    local t = setup()
    for _ = 1, 11 do
      t.update(good({ ["a.loda"] = { port("x") } }))
      t.clock = t.clock + 60
    end
    assert.equal(2, #t.saved)
    t.update(good({ ["a.loda"] = {} }))
    assert.equal(3, #t.saved)
    assert.same({ { "a.loda", "id of a.loda", Cache.items_text({}) } }, t.saved[3].namespaces)
  end)
end)
