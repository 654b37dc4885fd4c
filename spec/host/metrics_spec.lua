-- host.metrics.reader with options; what it does without them is spec/agent/http/post_spec.lua's.

local metrics = require("host.metrics")

local function read(body, options, max)
  local refused, list = {}, {}
  options = options or {}
  options.refuse = options.refuse or function(index, name, reason)
    refused[#refused + 1] = ("%d %s: %s"):format(index, tostring(name), reason)
  end
  local reader = metrics.reader(body, options)
  local more, why, code
  repeat more, why, code = reader:read(list, max or 100) until more ~= true
  return list, refused, why, code
end

describe("a reader that passes over bad entries", function()
  local body = [==[ [
    {"name": "a", "value": 1},
    null,
    {"name": "b c", "value": 1},
    {"name": "d", "value": {"x": [1, "]}", {}]}},
    {"name": "e"},
    {"name": "f", "value": null},
    {"name": 5, "value": 1},
    {"value": 1},
    {"name": "g", "value": 1e999, "more": [1e999]},
    {"name": "h", "value": 1, "tags": {"x": 1}},
    {"name": "i", "value": 1, "tags": {"x": ""}},
    {"name": "j", "value": 1, "timestamp": "now"},
    {"name": "k", "value": 1, "tags": [], "x": "\"]"},
    7, "text", [1, [2]], [], {},
    {"name": "z\u002ez", "value": "s", "tags": {"x": "y"}, "timestamp": 1714557600}
  ]
  ]==]

  local wanted = {
    "1 nil: not an object",
    "2 b c: invalid name, just 0-9 a-z A-Z - _ . are allowed",
    "3 d: value must be a number, a string or a boolean",
    "4 e: without a value",
    "5 f: without a value",
    "6 nil: name must be a string",
    "7 nil: without a name",
    "8 g: number out of range",
    "9 h: a tag's value must be a string",
    "10 i: an empty tag",
    "11 j: timestamp must be an integer",
    "12 k: tags must be an object",
    "13 nil: not an object", "14 nil: not an object", "15 nil: not an object", "16 nil: not an object",
    "17 nil: without a value",
  }

  it("gives the good ones and a reason for each bad one", function()
    local list, refused, why = read(body, { prefix = "" })
    assert.is_nil(why)
    assert.same({ { name = "a", value = 1 },
      { name = "z.z", value = "s", tags = { x = "y" }, timestamp = 1714557600 } }, list)
    assert.same(wanted, refused)
  end)

  it("does the same one by one", function()
    local list, refused = read(body, { prefix = "" }, 1)
    assert.equal(2, #list)
    assert.same(wanted, refused)
  end)

  it("counts refused entries as read, so that a slice of them ends too", function()
    local list = {}
    local reader = metrics.reader("[null,null,null]", { refuse = function() end })
    assert.is_true(reader:read(list, 2))
    assert.is_false(reader:read(list, 2))
  end)

  it("refuses very many tags", function()
    local tags = {}
    for i = 1, 257 do tags[i] = ('"t%d":"x"'):format(i) end
    local _, refused = read('[{"name":"a","value":1,"tags":{' .. table.concat(tags, ",") .. "}}]")
    assert.same({ "0 a: more than 256 tags" }, refused)
  end)

  for text, message in pairs({
    ['[{"name":"a","value":1}] x'] = "text behind the array", ["[]]"] = "text behind the array",
    ["null null"] = "text behind the array", ["[null"] = "a comma or ] was expected",
    ["[null,]"] = "entry 1: a JSON value",
    ["[nul]"] = "entry 0: not a JSON value", ['[{"name":"a" "value":1}]'] = "entry 0: a comma",
    ['{"name":"a","value":1}'] = "not an array", [""] = "empty body", ["[" .. ("["):rep(50)] = "nested too deeply",
    ["[]\0"] = "text behind the array",
  }) do
    it("ends with an error where the text isn't a JSON array: " .. text:sub(1, 30):gsub("%z", "NUL"), function()
      local _, _, why, code = read(text)
      assert.equal("EJSON", code)
      assert.is_truthy(why:find(message, 1, true), why)
    end)
  end

  it("takes white space behind the array", function()
    local list, refused, why = read('[{"name":"a","value":1}] \r\n\t\n')
    assert.same({ 1, 0 }, { #list, #refused })
    assert.is_nil(why)
  end)

  it("lets an error of the listener through and can go on", function()
    local calls = 0
    local reader = metrics.reader('[null,{"name":"a","value":1}]', { refuse = function()
      calls = calls + 1
      error("listener")
    end })
    local list = {}
    assert.has_error(function() reader:read(list, 10) end)
    assert.is_false(reader:read(list, 10))
    assert.same({ { name = "RUN.a", value = 1 } }, list)
    assert.equal(1, calls)
  end)
end)

describe("a reader", function()
  it("puts the prefix in front of names, RUN. without one", function()
    local list = read('[{"name":"a","value":1}]')
    assert.equal("RUN.a", list[1].name)
    assert.equal("PLUGIN.x.a", read('[{"name":"a","value":1}]', { prefix = "PLUGIN.x." })[1].name)
  end)

  it("without a listener is strict, and takes text behind the array, as /post always did", function()
    local list = {}
    assert.is_false(metrics.reader('[{"name":"a","value":1}] x', { prefix = "" }):read(list, 10))
    assert.same({ { name = "a", value = 1 } }, list)
    local more, why, code = metrics.reader('[{"name":"a b","value":1}]', { prefix = "" }):read({}, 10)
    assert.same({ "entry 0: invalid name", "ENAME" }, { why, code })
    assert.is_nil(more)
  end)

  it("refuses options that are none", function()
    assert.has_error(function() metrics.reader("[]", { prefix = 5 }) end)
    assert.has_error(function() metrics.reader("[]", { prefix = ("x"):rep(65) }) end)
    assert.has_error(function() metrics.reader("[]", { refuse = "x" }) end)
    assert.has_error(function() metrics.reader("[]", "x") end)
  end)
end)
