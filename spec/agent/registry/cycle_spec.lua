local Cycle = require("agent.registry.cycle")

-- A clock for many: timers in slots of 10 ms, so that ten thousand hosts' hours take seconds.
local function new_clock()
  local c = { now = 1000, slots = {}, at = 100000 }
  function c.after(seconds, fn)
    local timer = { fn = fn, due = c.now + seconds }
    function timer:cancel() self.fn = nil end
    local slot = math.max(c.at, math.floor(timer.due * 100))
    local list = c.slots[slot]
    if list then list[#list + 1] = timer else c.slots[slot] = { timer } end
    return timer
  end
  function c.advance(seconds)
    local target = math.floor((c.now + seconds) * 100 + 0.5)
    while c.at <= target do
      local list = c.slots[c.at]
      local i = 1
      while list and list[i] do
        local fn = list[i].fn
        c.now = math.max(c.now, list[i].due)
        if fn then fn() end
        i = i + 1
      end
      c.slots[c.at] = nil
      c.at = c.at + 1
    end
    c.now = math.max(c.now, target / 100)
  end
  return c
end

local quiet = { warning = function() end }

-- One host; calls are listed as { at, what }, fail(what) says how each ends: true fails, nil never.
local function setup(options)
  local c, calls = new_clock(), {}
  local warnings = {}
  local function call(what)
    return function(done)
      calls[#calls + 1] = { at = c.now, what = what }
      local failed = options.fail and options.fail(what, #calls)
      if failed == "never" then return end
      c.after(0.05, function() done(failed and { code = "down" } or nil) end)
    end
  end
  local cycle = Cycle.new({ now = function() return c.now end, after = c.after, host = options.host or "web07",
    random = options.random or function() return 0.5 end, have_cache = options.have_cache,
    update = call("update"), report = call("report"),
    log = { warning = function(_, text) warnings[#warnings + 1] = text end } })
  cycle:start()
  return cycle, c, calls, warnings
end

local function only(calls, what)
  local times = {}
  for _, one in ipairs(calls) do
    if one.what == what then times[#times + 1] = one.at end
  end
  return times
end

describe("the registry's cycle", function()
  it("asks at once where nothing is known, reports right after, then keeps both periods", function()
    local _, c, calls = setup({})
    c.advance(3600)
    assert.equal("update", calls[1].what)
    assert.equal(1000, calls[1].at)
    assert.equal("report", calls[2].what)
    assert.near(1000.05, calls[2].at, 0.02)
    local updates, reports = only(calls, "update"), only(calls, "report")
    for i = 3, #updates do assert.near(60, updates[i] - updates[i - 1], 0.011) end
    assert.is_true(updates[2] - updates[1] >= 5 and updates[2] - updates[1] <= 65)
    for i = 3, #reports do assert.near(600, reports[i] - reports[i - 1], 0.011) end
    assert.is_true(reports[2] - reports[1] >= 150 and reports[2] - reports[1] <= 750)
  end)

  it("waits for the host's phase where a last good state is known", function()
    local firsts = {}
    for i = 1, 200 do
      local _, c, calls = setup({ host = "web" .. i, have_cache = true })
      c.advance(61)
      firsts[#firsts + 1] = calls[1].at - 1000
    end
    table.sort(firsts)
    assert.is_true(firsts[1] < 5 and firsts[200] > 55 and firsts[200] <= 60)
    assert.near(30, firsts[100], 8)
  end)

  it("has the same phase after a restart", function()
    local _, c1, calls1 = setup({})
    local _, c2, calls2 = setup({ have_cache = true })
    c1.advance(300)
    c2.advance(300)
    assert.near(calls1[#calls1].at, calls2[#calls2].at, 0.02)
  end)

  it("tries a failed call again within its minute, twice, and never into the next tick", function()
    for _, random in ipairs({ 0, 0.5, 0.999 }) do
      local _, c, calls = setup({ fail = function() return true end, random = function() return random end,
        have_cache = true })
      c.advance(61)
      local tick = calls[1].at
      c.advance(tick + 59.9 - c.now)
      assert.equal(3, #calls)
      assert.is_true(calls[3].at < tick + 55)
    end
  end)

  it("tries less while the outage lasts, and as often as before after it", function()
    local down = true
    local _, c, calls = setup({ fail = function() return down end, have_cache = true })
    c.advance(61)
    local tick = calls[1].at
    c.advance(tick + 299.9 - c.now)
    assert.equal(3 + 2 * 4, #calls)
    down = false
    c.advance(600)
    down = true
    local before = #only(calls, "update")
    c.advance(60)
    assert.equal(before + 3, #only(calls, "update"))
  end)

  it("recovers within its minute by a retry", function()
    local _, c, calls = setup({ fail = function(_, n) return n == 1 end })
    c.advance(20)
    assert.equal("update", calls[2].what)
    assert.equal("report", calls[3].what)
  end)

  it("does not report before an update was good, and reports once then", function()
    local down = true
    local cycle, c, calls = setup({ fail = function() return down end })
    c.advance(300)
    assert.equal(0, #only(calls, "report"))
    down = false
    c.advance(60)
    assert.equal(1, #only(calls, "report"))
    cycle:updated()
    c.advance(60)
    assert.equal(1, #only(calls, "report"))
  end)

  it("tries a failed report again before its next time", function()
    local n = 0
    local _, c, calls = setup({ fail = function(what)
      if what ~= "report" then return false end
      n = n + 1
      return n == 1
    end })
    c.advance(95)
    assert.equal(2, #only(calls, "report"))
  end)

  it("skips a tick while a call is under way, says so, and gives it up at the one after", function()
    local _, c, calls, warnings = setup({ fail = function(_, n) return n == 1 and "never" end, have_cache = true })
    c.advance(61)
    assert.equal(1, #calls)
    c.advance(60)
    assert.equal(1, #calls)
    assert.equal(1, #warnings)
    c.advance(60)
    assert.equal("update", calls[2].what)
  end)

  it("calls nothing after it was stopped", function()
    local cycle, c, calls = setup({ fail = function() return true end })
    cycle:stop()
    c.advance(1000)
    assert.equal(1, #calls)
  end)
end)

-- What a registry sees of ten thousand hosts: requests per second, an update being one question for the
-- namespaces and, where that is answered, one for each of three.
local HOSTS, NAMESPACES = 10000, 3
local MEAN = HOSTS * ((1 + NAMESPACES) / 60 + 1 / 600)

local function fleet(options)
  local c, seen, seed = new_clock(), {}, 42
  local state = { up = true, cycles = {} }
  local function count(n)
    local second = math.floor(c.now)
    seen[second] = (seen[second] or 0) + n
  end
  local function random()
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  end
  local function call(requests)
    return function(done)
      count(state.up and requests or 1)
      done(not state.up and { code = "down" } or nil)
    end
  end
  local function now() return c.now end
  local function boot(i, have_cache)
    if state.cycles[i] then state.cycles[i]:stop() end
    state.cycles[i] = Cycle.new({ now = now, after = c.after, host = ("web%05d.example.org"):format(i),
      random = random, have_cache = have_cache, update = call(1 + NAMESPACES), report = call(1), log = quiet })
    state.cycles[i]:start()
  end
  state.boot = boot
  for i = 1, HOSTS do
    if options.over then c.after(random() * options.over, function() boot(i, true) end) else boot(i, true) end
  end
  function state.peak(from, seconds)
    local most, total = 0, 0
    for second = math.floor(from), math.floor(from) + seconds - 1 do
      most = math.max(most, seen[second] or 0)
      total = total + (seen[second] or 0)
    end
    return most, total / seconds
  end
  return c, state
end

describe("ten thousand hosts", function()
  it("ask evenly, second by second", function()
    local c, state = fleet({ over = 1200 })
    c.advance(1900)
    local peak, mean = state.peak(c.now - 602, 600)
    assert.near(MEAN, mean, MEAN * 0.02)
    assert.is_true(peak <= 1.3 * MEAN, ("%d in one second, mean %d"):format(peak, MEAN))
  end)

  it("ask evenly after all were restarted within the same second", function()
    local c, state = fleet({ over = 1 })
    c.advance(1300)
    local peak, mean = state.peak(1001, 1290)
    assert.is_true(peak <= 1.3 * MEAN, ("%d in one second, mean %d"):format(peak, MEAN))
    assert.near(MEAN, mean, MEAN * 0.1)
  end)

  it("ask no more than usual while the registry is away, and don't fall upon it when it is back", function()
    local c, state = fleet({})
    c.advance(700)
    local gone = c.now
    state.up = false
    c.advance(300)
    local peak, mean = state.peak(gone, 299)
    assert.is_true(peak <= 1.3 * MEAN, ("%d in one second while away, mean %d"):format(peak, MEAN))
    assert.is_true(mean <= MEAN)
    local back = c.now
    state.up = true
    c.advance(300)
    peak = state.peak(back, 60)
    assert.is_true(peak <= 2.3 * MEAN, ("%d in one second when back, mean %d"):format(peak, MEAN))
    peak = state.peak(back + 61, 200)
    assert.is_true(peak <= 1.3 * MEAN, ("%d in one second a minute later, mean %d"):format(peak, MEAN))
  end)
end)
