local Registry = require("agent.registry")
local file = require("agent.registry.file")

local function setup(answer)
  local t = { warnings = {}, errors = {}, asked = 0, answer = answer }
  t.registry = Registry.new({
    now = function() return 5 end,
    source = function(callback)
      t.asked = t.asked + 1
      t.reply = function() callback(t.answer.err, t.answer.data) end
      if not t.hold then t.reply() end
    end,
    log = {
      warning = function(_, text, fields) t.warnings[#t.warnings + 1] = { text = text, fields = fields } end,
      error = function(_, text, fields) t.errors[#t.errors + 1] = { text = text, fields = fields } end,
    },
  })
  return t
end

describe("the registry", function()
  it("knows the namespaces, sorted, and the shortest interval asked for", function()
    local t = setup({ data = {
      ["web.shop.loda"] = {
        { measurement_type = "CPU", interval = "30" },
        { measurement_type = "MEM", interval = "0" },
      },
      ["db.shop.loda"] = {
        { measurement_type = "CPU", interval = 20 },
        { measurement_type = "CPU", interval = "soon" },
      },
    } })
    t.registry:update(function(err) assert.is_nil(err) end)
    assert.same({ "db.shop.loda", "web.shop.loda" }, t.registry:namespaces())
    assert.equal(20, t.registry:interval("CPU"))
    assert.is_nil(t.registry:interval("MEM"))
    assert.is_nil(t.registry:interval("NET"))
    assert.equal(5, t.registry.updated)
  end)

  it("refuses piece by piece, naming namespace, item and reason", function()
    local t = setup({ data = {
      ["a.loda"] = {
        "text", { name = "x" }, { measurement_type = "PORT", port = {}, name = "y" }, { measurement_type = "CPU" },
      },
      ["not valid"] = {}, ["b.loda"] = "text",
    } })
    t.registry:update(function() end)
    assert.same({ "a.loda" }, t.registry:namespaces())
    assert.same({ { measurement_type = "CPU" } }, t.registry.items["a.loda"])
    assert.equal(5, #t.warnings)
    local said = {}
    for _, warning in ipairs(t.warnings) do said[warning.fields.item or warning.fields.ns] = warning.text end
    assert.matches("port is not a plain value", said.y)
    assert.matches("measurement_type is missing", said.x)
    assert.matches("no valid namespace", said["not valid"])
    assert.matches("not a string", said["b.loda"])
  end)

  it("keeps what it knew when the source fails", function()
    local t = setup({ data = { ["a.loda"] = {} } })
    t.registry:update(function() end)
    t.answer = { err = { code = "timeout", message = "no answer in 10 s" } }
    local said
    t.registry:update(function(err) said = err end)
    assert.equal("timeout", said.code)
    assert.same({ "a.loda" }, t.registry:namespaces())
    assert.equal(1, #t.errors)
  end)

  it("shares one question among concurrent updates", function()
    local t = setup({ data = {} })
    t.hold = true
    local answers = 0
    for _ = 1, 3 do t.registry:update(function() answers = answers + 1 end) end
    t.reply()
    assert.equal(1, t.asked)
    assert.equal(3, answers)
    t.registry:update(function() end)
    assert.equal(2, t.asked)
  end)
end)

describe("a registry file", function()
  it("must return a table, and its errors name the path", function()
    local function ask(err, data)
      local answer = {}
      file.source("conf/r.lua", function(_, callback) callback(err, data) end)(function(...) answer = { ... } end)
      return unpack(answer, 1, 2)
    end
    local _, data = ask(nil, { ["a.loda"] = {} })
    assert.same({ ["a.loda"] = {} }, data)
    assert.matches("conf/r.lua: returns a nil", (ask(nil, nil)).message)
    assert.matches("conf/r.lua: line 3: oops", (ask({ message = "line 3: oops" })).message)
  end)
end)
