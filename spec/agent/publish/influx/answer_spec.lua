local answer = require("agent.publish.influx.answer")

local function judge(status, body, n, v2, more)
  local result = { status = status, body = body }
  for key, value in pairs(more or {}) do result[key] = value end
  return answer.judge(result, n or 10, v2)
end

describe("an answer of InfluxDB", function()
  it("204 means that all is stored", function()
    assert.same({ kind = "stored", lost = 0 }, judge(204, ""))
    assert.same({ kind = "stored", lost = 0 }, judge(200, "anything"))
  end)

  it("of a partial write says how many points are lost and why", function()
    local said = judge(400, [[{"error":"partial write: field type conflict: input field \"value\" on measurement ]]
      .. [[\"m\" is type string, already exists as type float dropped=3"}]])
    assert.same({ "stored", 3, "type_conflict" }, { said.kind, said.lost, said.cause })
    assert.matches("already exists as type float", said.why)
    said = judge(400, [[{"error":"partial write: unable to parse 'a b': invalid field\nunable to parse 'c': missing ]]
      .. [[fields dropped=0"}]])
    assert.same({ "stored", 2, "unparsable" }, { said.kind, said.lost, said.cause })
    assert.is_nil(said.why:find("\n"))
    said = judge(400, '{"error":"partial write: points beyond retention policy dropped=1"}')
    assert.same({ 1, "retention" }, { said.lost, said.cause })
    said = judge(400, '{"error":"partial write: max-values-per-tag limit exceeded (100000/100000) dropped=2"}')
    assert.same({ 2, "limit" }, { said.lost, said.cause })
    said = judge(422, '{"code":"unprocessable entity","message":"failure writing points to database: partial write: '
      .. 'field type conflict dropped=1"}', 10, true)
    assert.same({ "stored", 1, "type_conflict" }, { said.kind, said.lost, said.cause })
  end)

  it("of lines that are all unparsable loses them", function()
    local said = judge(400, "{\"error\":\"unable to parse 'a': x\\nunable to parse 'b': x\"}", 2)
    assert.same({ "stored", 2, "unparsable" }, { said.kind, said.lost, said.cause })
  end)

  it("that refuses a whole batch asks for a search", function()
    assert.equal("search", judge(400, '{"code":"invalid","message":"unable to parse \'x\': bad"}', 5, true).kind)
    assert.equal("unparsable", judge(400, '{"code":"invalid","message":"unable to parse \'x\': bad"}', 5, true).cause)
    assert.is_nil(judge(400, '{"error":"database is required"}').cause)
    assert.equal("too_large", judge(413, "").cause)
  end)

  it("tells a database that isn't there from other things that aren't", function()
    assert.equal("create", judge(404, '{"error":"database not found: \\"d\\""}').kind)
    assert.equal("keep", judge(404, '{"error":"database not found: \\"d\\""}', 10, true).kind)
    assert.equal("keep", judge(404, "404 page not found").kind)
  end)

  it("that is about the server or the moment keeps the lines", function()
    for _, status in ipairs({ 301, 302, 401, 403, 405, 408, 410, 411, 415, 429, 500, 502, 503, 504 }) do
      local said = judge(status, '{"error":"why\\tnot"}', 10, true, { retry_after = 7 })
      assert.same({ "keep", "HTTP_" .. status, 7 }, { said.kind, said.code, said.retry_after })
      assert.matches("why not", said.message)
    end
    assert.same({ kind = "keep", code = "connect", message = "refused" },
      answer.judge({ code = "connect", message = "refused", status = 0 }, 1))
  end)

  it("names where a redirect points to, without a password", function()
    local said = judge(301, "", 1, false, { redirect = "http://u:p@b/write" })
    assert.matches("status 301 to http://b/write", said.message)
  end)

  it("is believed only as far as it can be", function()
    assert.equal(10, judge(400, '{"error":"partial write: x dropped=99999999999999999999"}').lost)
    assert.equal(1, judge(422, "", 10, true).lost)
    assert.equal(1, judge(400, "partial write: dropped=-5").lost)
    assert.equal(1, judge(422, '{"message":{}}', 10, true).lost)
    local deep = ("["):rep(100000)
    assert.equal("stored", judge(422, '{"message":' .. deep, 10, true).kind)
    assert.equal("keep", judge(500, ("x"):rep(1000000)).kind)
    assert.is_true(#judge(500, ("x"):rep(1000000)).message < 400)
    assert.equal("keep", judge(0, nil, 1, false, { code = "too_large", message = "large" }).kind)
    assert.equal("search", judge(400, nil, 5, true, { code = "too_large" }).kind)
  end)

  it("of random bytes is always one of the verdicts", function()
    local kinds = { stored = true, create = true, search = true, keep = true }
    math.randomseed(7)
    local pieces = { '{"error":"', "partial write", "dropped=", "9", "unable to parse", "'", '"}', "\n", "\\", "\0",
      "é", "database not found", "limit exceeded", "{", "}", "%", "[" }
    for _ = 1, 3000 do
      local text = {}
      for i = 1, math.random(0, 12) do text[i] = pieces[math.random(#pieces)] end
      local status = ({ 200, 204, 400, 404, 413, 422, 500 })[math.random(7)]
      local said = judge(status, table.concat(text), 5, math.random() < 0.5)
      assert.is_true(kinds[said.kind])
      if said.lost then assert.is_true(said.lost >= 0 and said.lost <= 5) end
    end
  end)
end)
