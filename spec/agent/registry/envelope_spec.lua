local envelope = require("agent.registry.envelope")

describe("an envelope", function()
  local function why(status, body) return (select(2, envelope.open(status, body))) end

  it("hands out its data, whatever httpstatus says", function()
    assert.same({ a = "b" }, envelope.open(200, '{"httpstatus":500,"data":{"a":"b"},"msg":""}'))
    assert.same({}, envelope.items((envelope.open(200, '{"data":null}'))))
  end)

  it("is refused for any status but 200, with its message where it has one", function()
    assert.equal("status 404: gone", why(404, '{"data":null,"msg":"gone"}'))
    assert.equal("status 201", why(201, '{"data":{}}'))
    assert.equal("status 500: two lines", why(500, '{"msg":"two\\nlines"}'))
    assert.equal("status 500", why(500, '{"msg":7}'))
    assert.is_true(#why(500, '{"msg":"' .. ("x"):rep(9999) .. '"}') < 250)
  end)

  it("is refused where it is none", function()
    for _, body in ipairs({ "", "[]", "{}", '{"msg":""}', "7", '{"data":', '{"data":NaN}', ("["):rep(5000) }) do
      assert.is_nil((envelope.open(200, body)), body:sub(1, 20))
      assert.is_string(why(200, body))
    end
  end)

  it("bounds how many namespaces, items and fields there are, and how long a value is", function()
    local many = {}
    for i = 1, 201 do many["n" .. i] = "id" end
    assert.matches("201 namespaces", select(2, envelope.namespaces(many)))
    local items = {}
    for i = 1, 10001 do items[i] = {} end
    assert.matches("10001 items", select(2, envelope.items(items)))
    local wide = {}
    for i = 1, 101 do wide["f" .. i] = "x" end
    assert.equal("string", type(envelope.items({ wide })[1]))
    assert.same({}, envelope.items({ { name = ("x"):rep(16385) } })[1].name)
    assert.equal(16384, #envelope.items({ { name = ("x"):rep(16384) } })[1].name)
  end)

  it("has a digest that any change changes", function()
    local seen = {}
    for i = 1, 1000 do
      local digest = envelope.digest('{"data":[' .. i .. "]}")
      assert.is_nil(seen[digest])
      assert.matches("^%x+$", digest)
      assert.equal(16, #digest)
      seen[digest] = true
    end
    assert.equal("cbf29ce484222325", envelope.digest(""))
    assert.equal("85944171f73967e8", envelope.digest("foobar")) -- the test vector of FNV-1a
  end)
end)

describe("an origin", function()
  local origin = require("agent.registry.errand").origin

  it("is scheme, host and port, whatever a URL writes of them", function()
    assert.equal(origin("http://r.example.org/x"), origin("HTTP://user:p@R.example.org:80?y"))
    assert.equal("https://r:443", origin("https://r"))
    assert.equal("http://[::1]:80", origin("http://[::1]/"))
    for _, other in ipairs({ "https://r", "http://r:81", "http://r.", "http://r@s", "file:///r" }) do
      assert.not_equal(origin("http://r"), origin(other))
    end
    assert.is_nil(origin("/relative"))
  end)
end)
