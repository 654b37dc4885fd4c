local port = require("agent.collect.port")
local listeners = require("listeners")
local wait = require("wait")

local function item(ns, number, timeout)
  return { type = "PORT", ns = ns, name = "PORT.x." .. number, port = number, timeout = timeout or 3, interval = 60 }
end

-- Stands in for host.ports: remembers what it was asked, answers when told.
local function fake()
  local ports = { asked = {}, closed = 0 }
  function ports.check(list, callback)
    table.insert(ports.asked, list)
    ports.answer = callback
    return { close = function() ports.closed = ports.closed + 1 end }
  end
  return ports
end

local function run(collector, items)
  local results, err, calls = nil, nil, 0
  collector.run(items, function(found, why)
    results, err, calls = found, why, calls + 1
  end)
  return function() return results, err, calls end
end

describe("collector PORT", function()
  it("tells open from closed, each to the namespace that asked", function()
    local open, silent = listeners.listen(), listeners.silent()
    local closed = listeners.closed_port()
    local collector = port.new({})
    local ended = run(collector, { item("a.loda", open.port), item("b.loda", closed),
      item("a.loda", silent.port, 0.1) })
    wait.until_true(ended)
    local results, err, calls = ended()
    assert.same({
      { ns = "a.loda", metrics = { { name = "PORT.x." .. open.port, value = 1 },
        { name = "PORT.x." .. silent.port, value = 0 } } },
      { ns = "b.loda", metrics = { { name = "PORT.x." .. closed, value = 0 } } },
    }, results)
    assert.is_nil(err)
    assert.are.equal(1, calls)
    open.close()
    silent.close()
  end)

  it("connects once to a port that many items name, with the longest of their timeouts", function()
    local ports = fake()
    local collector = port.new({ ports = ports })
    local ended = run(collector, { item("a", 22, 1), item("b", 22, 5), item("a", 80, 2), item("c", 22, 3) })
    assert.same({ { { 22, 5 }, { 80, 2 } } }, ports.asked)
    ports.answer({ 2.5, false })
    local values = {}
    for _, result in ipairs((ended())) do values[result.ns] = result.metrics[1].value end
    assert.same({ a = 0, b = 1, c = 1 }, values)
  end)

  it("takes an answer that came with the last look at the time as in time", function()
    local ports = fake()
    local ended = run(port.new({ ports = ports }), { item("a", 22, 1) })
    ports.answer({ 1.01 })
    assert.are.equal(1, ended()[1].metrics[1].value)
  end)

  it("says nothing about a port that it had no means to ask, and why", function()
    local ports = fake()
    local ended = run(port.new({ ports = ports }), { item("a", 22), item("a", 80) })
    ports.answer({ "EMFILE", 0 })
    local results, err = ended()
    assert.same({ { ns = "a", metrics = { { name = "PORT.x.80", value = 1 } } } }, results)
    assert.are.equal("EMFILE", err.code)
    assert.truthy(err.message:find("22", 1, true))
  end)

  it("answers where checking can't begin", function()
    local collector = port.new({ ports = { check = function() return nil, "no memory", "ENOMEM" end } })
    local results, err, calls = run(collector, { item("a", 22) })()
    assert.same({}, results)
    assert.are.equal("ENOMEM", err.code)
    assert.are.equal(1, calls)
  end)

  it("answers for no items", function()
    local ended = run(port.new({}), {})
    wait.until_true(ended)
    assert.same({}, (ended()))
  end)

  it("gives up all runs when closed", function()
    local ports = fake()
    local collector = port.new({ ports = ports })
    run(collector, { item("a", 22) })
    run(collector, { item("a", 80) })
    collector.close()
    collector.close()
    assert.are.equal(2, ports.closed)
  end)
end)
