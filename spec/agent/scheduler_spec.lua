local Scheduler = require("agent.scheduler")

-- A scheduler on a clock that the test winds: advance() fires what falls due, in order.
local function setup(host)
  local t = { now = 1000, timers = {}, warnings = {} }
  local scheduler = Scheduler.new({
    host = host or "web07",
    now = function() return t.now end,
    after = function(seconds, fn)
      local timer = { at = t.now + seconds, fn = fn, cancel = function(self) self.cancelled = true end }
      table.insert(t.timers, timer)
      return timer
    end,
    call = function(fn, ...) return (pcall(fn, ...)) end,
    log = { warning = function(_, text) table.insert(t.warnings, text) end },
  })
  function t.advance(seconds)
    local target = t.now + seconds
    while true do
      local soonest, at
      for i, timer in ipairs(t.timers) do
        if timer.at <= target and (not at or timer.at < at) then soonest, at = i, timer.at end
      end
      if not soonest then break end
      local timer = table.remove(t.timers, soonest)
      t.now = math.max(t.now, timer.at)
      if not timer.cancelled then timer.fn() end
    end
    t.now = target
  end
  return scheduler, t
end

local function usage(scheduler, id)
  local found
  scheduler:usage(function(name, item)
    if name ~= id then return end
    found = {}
    for key, value in pairs(item) do found[key] = value end
  end, true)
  return found
end

describe("the scheduler", function()
  it("runs the first item at once and all within two seconds, spread", function()
    local s, t = setup()
    local firsts = {}
    for i = 1, 20 do
      s:every("item" .. i, 10, function(done) table.insert(firsts, t.now) done() end)
    end
    t.advance(0)
    assert.equal(1, #firsts)
    t.advance(2)
    assert.equal(20, #firsts)
    for i = 2, #firsts do assert.is_true(firsts[i] - firsts[i - 1] <= 0.25) end
  end)

  it("then keeps a phase of its own for ever", function()
    local s, t = setup()
    local at = {}
    s:every("CPU", 10, function(done) table.insert(at, t.now) done() end)
    t.advance(100)
    assert.is_true(at[2] - at[1] >= 5 and at[2] - at[1] <= 15)
    for i = 3, #at do assert.near(10, at[i] - at[i - 1], 1e-6) end
  end)

  it("has the same phase after a restart, another on another host or for another item", function()
    local function phase(host, id)
      local s, t = setup(host)
      local last
      s:every(id, 10, function(done) last = t.now done() end)
      t.advance(60)
      return last % 10
    end
    assert.near(phase("a", "CPU"), phase("a", "CPU"), 1e-6)
    assert.is_true(math.abs(phase("a", "CPU") - phase("b", "CPU")) > 0.01)
    assert.is_true(math.abs(phase("a", "CPU") - phase("a", "MEM")) > 0.01)
  end)

  it("is not moved by timers that fire early or late, nor does it run twice for one tick", function()
    local s, t = setup()
    local after, runs, noise = s.after, 0, { 0.3, -0.0009, 0.002, -0.0005 }
    s.after = function(seconds, fn)
      table.insert(noise, table.remove(noise, 1))
      return after(seconds + noise[1], fn)
    end
    local due = {}
    s:every("CPU", 10, function(done) runs = runs + 1 due[#due + 1] = t.now % 10 done() end)
    t.advance(1000)
    assert.near(100, runs, 1)
    for i = 3, #due do assert.near(due[2], due[i], 0.31) end
  end)

  it("runs items of one beat on common ticks, each at its own of them", function()
    local s, t = setup()
    local at = {}
    for _, id in ipairs({ "CPU", "MEM", "FS", "KERNEL" }) do
      local interval = (id == "FS" or id == "KERNEL") and 300 or 10
      s:every(id, interval, function(done) at[id] = t.now done() end, 10)
    end
    t.advance(1000)
    for _, id in ipairs({ "MEM", "FS", "KERNEL" }) do assert.near(at.CPU % 10, at[id] % 10, 1e-6) end
    assert.is_true(math.abs(at.FS % 300 - at.KERNEL % 300) > 1)
  end)

  it("spreads the phases of many hosts evenly", function()
    local slots = {}
    for i = 1, 2000 do
      local s, t = setup("web" .. i)
      local last
      s:every("CPU", 10, function(done) last = t.now done() end)
      t.advance(30)
      local slot = math.floor(last % 10)
      slots[slot] = (slots[slot] or 0) + 1
    end
    for slot = 0, 9 do assert.near(200, slots[slot], 60) end
  end)

  it("never runs an item twice at once: ticks meanwhile are skipped, counted, said once", function()
    local s, t = setup()
    local finish
    local runs = 0
    s:every("FS", 10, function(done) runs = runs + 1 finish = done end)
    t.advance(46)
    assert.equal(1, runs)
    assert.is_true(usage(s, "FS").missed >= 3)
    assert.equal(1, #t.warnings)
    finish()
    t.advance(10)
    assert.equal(2, runs)
  end)

  it("skips and counts what a sleeping machine missed, instead of catching up", function()
    local s, t = setup()
    local runs = 0
    s:every("CPU", 10, function(done) runs = runs + 1 done() end)
    t.advance(30)
    local before = runs
    t.now = t.now + 3600
    t.advance(0)
    assert.equal(before + 1, runs)
    assert.is_true(usage(s, "CPU").missed >= 358)
  end)

  it("goes on after a run that raises, and counts it", function()
    local s, t = setup()
    local runs = 0
    s:every("BAD", 10, function() runs = runs + 1 error("boom") end)
    t.advance(50)
    assert.is_true(runs >= 4)
    assert.equal(runs, usage(s, "BAD").errors)
    assert.equal(0, usage(s, "BAD").missed)
  end)

  it("measures how long runs take", function()
    local s, t = setup()
    s:every("SLOW", 10, function(done) t.now = t.now + 0.25 done({ code = "x" }) end)
    t.advance(1)
    local item = usage(s, "SLOW")
    assert.near(0.25, item.longest_s, 1e-6)
    assert.equal("x", item.last_error.code)
    assert.equal(0, usage(s, "SLOW").longest_s)
  end)

  it("stops items that are removed", function()
    local s, t = setup()
    local runs = 0
    s:every("CPU", 10, function(done) runs = runs + 1 done() end)
    t.advance(1)
    s:remove("CPU")
    t.advance(60)
    assert.equal(1, runs)
    s:every("CPU", 10, function(done) done() end)
    s:stop()
    assert.is_nil(next(s.items))
  end)
end)
