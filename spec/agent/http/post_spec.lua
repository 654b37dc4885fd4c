local ask = require("http_fakes").ask
local new_router = require("agent.http.router").new

local BAD_NAME = "invalid metric name, just allow 0-9 a-z A-Z - _ ."

-- A router with /post on it; what was published is in box.sent, box.finish answers when box.hold.
local function setup(namespaces)
  local box = { sent = {}, turns = 0 }
  local router = new_router()
  require("agent.http.post").register(router, "POST", {
    namespaces = function() return namespaces or { "web.shop.loda" } end,
    encode = function(metrics) return metrics end, -- a body for each metric
    reader = function(body)
      local reader = require("host.metrics").reader(body)
      return { encode = function(_, list, max) return reader:read(list, max) end }
    end,
    dropped = function(reason, count) box.dropped = count > 0 and reason .. " " .. count or box.dropped end,
    publish = function(ns, metrics, done)
      table.insert(box.sent, { ns = ns, metrics = metrics })
      if box.hold then box.finish = done else done(box.err) end
    end,
    conf = { maxpost = 2 * 1024 * 1024 },
    later = function(fn)
      box.turns = box.turns + 1
      fn()
    end,
  })
  function box.post(body, ns, headers)
    return ask(router, "POST", "/post", { body = body, query = { ns = ns }, headers = headers })
  end
  return box
end

describe("/post", function()
  it("publishes under the namespace asked for, whatever the machine's own are", function()
    local box = setup({})
    local reply = box.post('[{"name":"orders.paid","timestamp":1714557600,"tags":{"shard":"3"},"value":42}]',
      "front.shop.loda")
    assert.same({ 200, "send data to MQ success\n" }, { reply.status, reply.body })
    assert.same({ { ns = "front.shop.loda", metrics = {
      { name = "RUN.orders.paid", timestamp = 1714557600, tags = { shard = "3" }, value = 42 } } } }, box.sent)
  end)

  it("takes line protocol and Prometheus text by their Content-Type, all of it or nothing", function()
    local box = setup()
    for _, kind in ipairs({ "text/plain", "text/plain; charset=utf-8", "application/x-influx-line-protocol" }) do
      assert.equal(200, box.post("nginx,site=a active=7i 1714557600\n", nil, { ["content-type"] = kind }).status)
      assert.same({ name = "RUN.nginx.active", value = 7, tags = { site = "a" }, timestamp = 1714557600 },
        box.sent[#box.sent].metrics[1])
    end
    local count = #box.sent
    for _, kind in ipairs({ "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0" }) do
      local body = "# TYPE up gauge\nup{job=\"x\"} 1\nnone NaN\n"
      assert.equal(200, box.post(body, nil, { ["content-type"] = kind }).status)
      assert.same({ name = "RUN.up", value = 1, tags = { job = "x" } }, box.sent[#box.sent].metrics[1])
      assert.equal("not_finite 1", box.dropped)
    end
    local reply = box.post("a b=1\nnonsense here and there\n", nil, { ["content-type"] = "text/plain" })
    assert.equal(400, reply.status)
    assert.matches("^line 2: ", reply.body)
    assert.equal(count + 2, #box.sent)
  end)

  it("takes JSON whatever its Content-Type", function()
    local box = setup()
    for _, kind in ipairs({ "text/plain", "application/x-www-form-urlencoded", "application/json", "x" }) do
      assert.equal(200, box.post(' [{"name":"a","value":1}]', nil, { ["content-type"] = kind }).status)
    end
    assert.equal(4, #box.sent)
  end)

  it("names the entry and the reason to who asks for JSON", function()
    local box = setup()
    local reply = box.post('[{"name":"a","value":1},{"name":"b c","value":1}]', nil, { accept = "application/json" })
    assert.equal(400, reply.status)
    assert.matches("entry 1", require("cjson").decode(reply.body).reason)
  end)

  it("takes the only namespace when none is given", function()
    local box = setup({ "web.shop.loda" })
    assert.equal(200, box.post('[{"name":"a","value":1}]').status)
    assert.equal("web.shop.loda", box.sent[1].ns)
  end)

  it("refuses namespaces that are ambiguous, missing or no topic", function()
    local body = '[{"name":"a","value":1}]'
    for _, try in ipairs({ { {}, nil }, { { "a", "b" }, nil }, { { "a", "b" }, "" },
      { { "a" }, "a b" }, { { "a" }, "a/b" }, { { "a" }, ("x"):rep(57) }, { { "a" }, "é" } }) do
      local box = setup(try[1])
      local reply = box.post(body, try[2])
      assert.same({ 500, "invalid ns\n", 0 }, { reply.status, reply.body, #box.sent })
    end
    assert.equal(200, setup().post(body, ("x"):rep(56)).status)
  end)

  it("answers 200 and sends nothing for [] and null", function()
    local box = setup()
    for _, body in ipairs({ "[]", "null", " [ ] ", "[]trailing" }) do
      assert.equal(200, box.post(body).status, body)
    end
    assert.same({}, box.sent)
  end)

  it("refuses names with other characters, and then sends nothing at all", function()
    local box = setup()
    for _, name in ipairs({ "a b", "a/b", "a:b", "a,b", "é", "a\\u0000", "a\\n" }) do
      local reply = box.post('[{"name":"fine","value":1},{"name":"' .. name .. '","value":1}]')
      assert.same({ 400, BAD_NAME }, { reply.status, reply.body })
    end
    assert.same({}, box.sent)
    assert.equal(200, box.post('[{"name":"AZaz09-_.","value":1}]').status)
    assert.equal(200, box.post('[{"name":"","value":1}]').status)
    assert.equal("RUN.", box.sent[2].metrics[1].name)
  end)

  it("names the entry and the reason when the body isn't what it should be", function()
    local box = setup()
    local fine = '{"name":"a","value":1}'
    for body, reason in pairs({
      [""] = "empty body",
      ["{}"] = "not an array of metrics",
      ["[null]"] = "entry 0: not an object",
      ["[" .. fine .. ",null]"] = "entry 1: not an object",
      ["[" .. fine .. ",]"] = "entry 1: not an object",
      ["[" .. fine] = "a comma or ] was expected",
      ['[{"name":"a"}]'] = "entry 0: without a value",
      ['[{"name":"a","value":null}]'] = "entry 0: without a value",
      ['[{"name":"a","value":[1]}]'] = "entry 0: value must be a number, a string or a boolean",
      ['[{"name":"a","value":{}}]'] = "entry 0: value must be a number, a string or a boolean",
      ['[{"name":"a","value":1e999}]'] = "entry 0: number out of range",
      ['[{"name":"a","value":NaN}]'] = "entry 0: a JSON value was expected",
      ['[{"name":"a","value":01}]'] = "entry 0: bad number",
      ['[{"name":"a","value":"\1"}]'] = "entry 0: control character in a string",
      ['[{"name":"a","value":"\\x"}]'] = "entry 0: bad escape in a string",
      ['[{"name":"a","value":"'] = "entry 0: the body ends inside a string",
      ['[{"name":7,"value":1}]'] = "entry 0: name must be a string",
      ['[{"name":"a","value":1,"tags":[]}]'] = "entry 0: tags must be an object",
      ['[{"name":"a","value":1,"tags":{"k":1}}]'] = "entry 0: a tag's value must be a string",
      ['[{"name":"a","value":1,"x":' .. ("["):rep(40)] = "entry 0: nested too deeply",
    }) do
      local reply = box.post(body)
      assert.same({ 500, "failed to decode json:" .. reason .. "\n" }, { reply.status, reply.body })
    end
    assert.same({}, box.sent)
  end)

  it("takes integers only as timestamps, and no matter how large", function()
    local box = setup()
    for _, timestamp in ipairs({ "1.6e9", "1600000000.0", '"1600000000"', "true", "[]", "99999999999999999999" }) do
      local reply = box.post('[{"name":"a","value":1,"timestamp":' .. timestamp .. "}]")
      assert.same({ 500, "failed to decode json:entry 0: timestamp must be an integer\n" },
        { reply.status, reply.body })
    end
    assert.equal(200, box.post('[{"name":"a","value":1,"timestamp":1714557600000000000}]').status)
    assert.equal(200, box.post('[{"name":"a","value":1,"timestamp":null}]').status)
    assert.is_nil(box.sent[2].metrics[1].timestamp)
  end)

  it("keeps values as they were", function()
    local box = setup()
    assert.equal(200, box.post([[ [{"name":"a","value":9007199254740992}, {"name":"a","value":-9007199254740991},
      {"name":"a","value":"97.18"}, {"name":"a","value":false}, {"name":"a","value":0.1}, {"name":"a","value":1e-7},
      {"name":"a","value":"a\\,b \u00e9\ud83d\ude00"}, {"name":"a","value":123456789.12345678}] ]]).status)
    local values = {}
    for i, metric in ipairs(box.sent[1].metrics) do values[i] = metric.value end
    assert.same({ 2 ^ 53, -(2 ^ 53 - 1), "97.18", false, 0.1, 1e-7, "a\\,b é😀", 123456789.12345678 }, values)
  end)

  it("matches keys without regard to case and passes over the others", function()
    local box = setup()
    assert.equal(200, box.post('[{"NAME":"a","Value":1,"TAGS":{"K":"v"},"TimeStamp":1714557600,'
      .. '"offset":[1,{"a":[]},{},"x"],"name ":3}]').status)
    assert.same({ name = "RUN.a", value = 1, tags = { K = "v" }, timestamp = 1714557600 }, box.sent[1].metrics[1])
  end)

  it("answers when the metrics are safe, not before", function()
    local box = setup()
    box.hold = true
    local reply = box.post('[{"name":"a","value":1}]')
    assert.equal(0, reply.sent)
    box.finish()
    assert.same({ 1, 200 }, { reply.sent, reply.status })
  end)

  it("tells a full queue from other trouble", function()
    local box = setup()
    box.err = { code = "full", message = "the queue is full" }
    local reply = box.post('[{"name":"a","value":1}]')
    assert.same({ 503, "queue is full, discard message" }, { reply.status, reply.body })
    box.err = { code = "timeout", message = "not acknowledged in time" }
    reply = box.post('[{"name":"a","value":1}]')
    assert.same({ 503, "not acknowledged in time\n", "5" }, { reply.status, reply.body, reply.headers["Retry-After"] })
  end)

  it("reads a large body in many turns of the loop, and refuses one over 2 MiB", function()
    local box = setup()
    local entry = '{"name":"orders.paid","timestamp":1714557600,"tags":{"shard":"3"},"value":42}'
    local body = "[" .. (entry .. ","):rep(26000) .. entry .. "]"
    assert.equal(200, box.post(body).status)
    assert.equal(26001, #box.sent[1].metrics)
    assert.is_true(box.turns >= 26)
    assert.equal(413, box.post("[" .. (entry .. ","):rep(28000) .. entry .. "]").status)
  end)
end)
