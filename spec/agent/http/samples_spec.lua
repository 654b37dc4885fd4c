local encode = require("agent.publish.points").encode
local samples = require("agent.http.samples")

describe("the last samples", function()
  local now, turns, store

  before_each(function()
    now, turns = 1000, 0
    store = samples.new({ now = function() return now end, later = function(fn)
      turns = turns + 1
      fn()
    end })
  end)

  local function offer(namespaces, metrics, source)
    store:offer(namespaces, encode(metrics, "here", 1714557600), source)
  end

  local function scrape()
    local found, done = {}, false
    store:scrape(function(name, value, tags, ns)
      found[#found + 1] = ("%s=%s %s %s"):format(name, tostring(value), tags.t or "-", ns or "*")
    end, function() done = true end)
    assert.is_true(done)
    table.sort(found)
    return found
  end

  it("of groups are there from the first scrape on, the last of each", function()
    offer({ "a.loda", "b.loda" }, { { name = "cpu", value = 1 }, { name = "old", value = 1 } }, "CPU")
    offer({ "a.loda", "b.loda" }, { { name = "cpu", value = 2 } }, "CPU")
    offer({ "a.loda" }, { { name = "mem", value = 3 } }, "MEM")
    assert.same({ "cpu=2 - *", "mem=3 - *" }, scrape())
  end)

  it("of everything else are kept once somebody scrapes, by series", function()
    offer({ "a.loda" }, { { name = "posted", value = 1 } })
    assert.same({}, scrape())
    for value = 1, 3 do
      offer({ "a.loda" }, { { name = "p", value = value, tags = { t = "x" } }, { name = "p", value = -value } })
      offer({ "b.loda" }, { { name = "p", value = value * 10 } })
    end
    assert.same({ "p=-3 - a.loda", "p=3 x a.loda", "p=30 - b.loda" }, scrape())
    assert.equal(3, store.count)
  end)

  it("are forgotten when nobody scrapes any more", function()
    scrape()
    offer({ "a.loda" }, { { name = "p", value = 1 } })
    now = now + 601
    offer({ "a.loda" }, { { name = "p", value = 2 } })
    assert.same({ 0, {} }, { store.count, store.series })
    assert.same({}, scrape())
  end)

  it("expire with the thing, at the pace of the thing", function()
    scrape()
    for _, seconds in ipairs({ 0, 100 }) do
      now = now + seconds
      offer({ "a.loda" }, { { name = "quick", value = 1 } })
    end
    for _, seconds in ipairs({ 0, 800 }) do
      now = now + seconds
      scrape()
      offer({ "a.loda" }, { { name = "slow", value = 1 } })
      offer({ "a.loda" }, { { name = "slow.group", value = 1 } }, "SLOW")
    end
    assert.equal(3, #scrape())
    now = now + 101
    assert.same({ "slow.group=1 - *", "slow=1 - a.loda" }, scrape())
    offer({ "a.loda" }, { { name = "once", value = 1 } })
    now = now + 2300
    assert.same({ "once=1 - a.loda" }, scrape())
    now = now + 1400
    assert.same({}, scrape())
    assert.equal(0, store.count)
  end)

  it("are bounded, and what found no room is counted", function()
    scrape()
    local metrics = {}
    for i = 1, 1000 do metrics[i] = { name = "m", value = i, tags = { t = tostring(i) } } end
    for i = 1, 25 do offer({ "n" .. i }, metrics) end
    assert.same({ 20000, 5000 }, { store.count, store.skipped })
  end)

  it("are read in many turns of the loop, and what waits is bounded", function()
    local waiting = {}
    store.later = function(fn) waiting[#waiting + 1] = fn end
    store:scrape(function() end, function() end)
    local metrics = {}
    for i = 1, 1000 do metrics[i] = { name = "m", value = i, tags = { t = tostring(i) } } end
    for _ = 1, 20 do offer({ "a.loda" }, metrics) end
    assert.equal(1, #waiting)
    assert.is_true(store.bytes <= 2 ^ 20 and store.skipped > 0)
    local rounds = 0
    while waiting[1] do
      rounds = rounds + 1
      table.remove(waiting)()
    end
    assert.is_true(rounds >= 5)
    assert.same({ 1000, 0 }, { store.count, store.bytes })
  end)
end)
