local writer = require("agent.publish.influx.writer")

local START = 1000

-- A session that answers each request by a script: answer(request) → result.
local function fake(answer, conf, secrets)
  local all = { url = "http://db:8086", org = "", bucket = "", user = "", auth = "basic", batchsize = 2 ^ 20 }
  for key, value in pairs(conf or {}) do all[key] = value end
  local self = { requests = {}, now = START }
  local session = {
    renew = function(_, ms) self.ms = ms end,
    add = function(_, request)
      table.insert(self.requests, request)
      return #self.requests
    end,
    next = function()
      local result = answer(self.requests[#self.requests], self)
      if not result.code then result.body = result.body or "" end
      return #self.requests, result
    end,
  }
  self.writer = writer.new(all, { session = session, gzip = function(text) return "gzip:" .. text end,
    now = function() return self.now end, secrets = secrets or function() end })
  return self
end

local function message(database, ...)
  local points = {}
  for i, name in ipairs({ ... }) do
    points[i] = ('{"measurement":"%s","timestamp":1714557600,"tags":{},"fields":{"value":1}}'):format(name)
  end
  return ('{"database":"%s","points":[%s]}'):format(database, table.concat(points, ","))
end

local function lines(...)
  local list = {}
  for i, name in ipairs({ ... }) do list[i] = name .. " value=1 1714557600\n" end
  return table.concat(list)
end

local function fine() return { status = 204 } end

local function has(request, header)
  for _, one in ipairs(request.headers) do
    if one == header then return true end
  end
  return false
end

describe("writing to InfluxDB", function()
  it("sends the lines of each database in one request", function()
    local it_is = fake(fine)
    local result = it_is.writer:write({ message("collect.a", "x", "y"), message("collect.b c", "z"),
      message("collect.a", "w") }, 5)
    assert.same({ stored = 4, dropped = {}, bad = {} }, result)
    assert.equal("http://db:8086/write?db=collect.a&precision=s", it_is.requests[1].url)
    assert.equal(lines("x", "y", "w"), it_is.requests[1].body)
    assert.equal("http://db:8086/write?db=collect.b%20c&precision=s", it_is.requests[2].url)
    assert.is_nil(it_is.requests[3])
  end)

  it("speaks the API of 2.x where there is an organisation", function()
    local it_is = fake(fine, { org = "my org" }, function() return nil, "t0ken" end)
    it_is.writer:write({ message("collect.a", "x") }, 5)
    assert.equal("http://db:8086/api/v2/write?org=my%20org&bucket=collect.a&precision=s", it_is.requests[1].url)
    assert.is_true(has(it_is.requests[1], "Authorization: Token t0ken"))
    it_is = fake(fine, { org = "o", bucket = "all/of it" })
    it_is.writer:write({ message("collect.a", "x") }, 5)
    assert.matches("&bucket=all%2Fof%20it&", it_is.requests[1].url, 1, true)
  end)

  it("proves who it is by header or by query", function()
    local function password() return "pass: word" end
    local it_is = fake(fine, { user = "web" }, password)
    it_is.writer:write({ message("d", "x") }, 5)
    assert.is_true(has(it_is.requests[1], "Authorization: Basic d2ViOnBhc3M6IHdvcmQ="))
    it_is = fake(fine, { user = "web", auth = "query" }, password)
    it_is.writer:write({ message("d", "x") }, 5)
    assert.matches("&u=web&p=pass%3A%20word", it_is.requests[1].url, 1, true)
  end)

  it("packs what is large", function()
    local it_is = fake(fine)
    it_is.writer:write({ message("d", ("x"):rep(2000)) }, 5)
    assert.is_true(has(it_is.requests[1], "Content-Encoding: gzip"))
    assert.matches("^gzip:xxx", it_is.requests[1].body)
  end)

  it("keeps to the size of a batch", function()
    local it_is = fake(fine, { batchsize = 60 })
    it_is.writer:write({ message("d", "a", "b", "c", "d", "e") }, 5)
    assert.equal(3, #it_is.requests)
    local all = {}
    for i, request in ipairs(it_is.requests) do
      assert.is_true(#request.body <= 60)
      all[i] = request.body
    end
    assert.equal(lines("a", "b", "c", "d", "e"), table.concat(all))
  end)

  it("makes a database that isn't there, once, and writes again", function()
    local made = false
    local it_is = fake(function(request)
      if request.url:find("/query?", 1, true) then
        made = request.body
        return { status = 200, body = '{"results":[{"statement_id":0}]}' }
      end
      return made and { status = 204 } or { status = 404, body = '{"error":"database not found: \\"collect.a\\""}' }
    end)
    assert.equal(1, it_is.writer:write({ message("collect.a", "x") }, 5).stored)
    assert.equal("q=CREATE%20DATABASE%20%22collect.a%22", made)
    assert.equal(3, #it_is.requests)
  end)

  it("keeps all when the database may not be made, and says so", function()
    local it_is = fake(function(request)
      if request.url:find("/query?", 1, true) then return { status = 403, body = '{"error":"not authorized"}' } end
      return { status = 404, body = '{"error":"database not found: \\"d\\""}' }
    end)
    local result = it_is.writer:write({ message("d", "x") }, 5)
    assert.equal("HTTP_403", result.err.code)
    assert.matches("no database d, .*not authorized", result.err.message)
    it_is = fake(function(request)
      if request.url:find("/query?", 1, true) then return { status = 200, body = '{"results":[{}]}' } end
      return { status = 404, body = '{"error":"database not found: \\"d\\""}' }
    end)
    assert.equal("HTTP_404", it_is.writer:write({ message("d", "x") }, 5).err.code)
    assert.equal(3, #it_is.requests)
  end)

  it("counts what a partial write left out", function()
    local it_is = fake(function()
      return { status = 400, body = '{"error":"partial write: field type conflict: … dropped=2"}' }
    end)
    local result = it_is.writer:write({ message("d", "a", "b", "c") }, 5)
    assert.same({ 1, { type_conflict = 2 } }, { result.stored, result.dropped })
    assert.is_nil(result.err)
  end)

  it("finds the lines that make 2.x refuse a batch by what it quotes of them", function()
    local it_is = fake(function(request)
      if request.body:find("bad", 1, true) then
        return { status = 400, body = '{"code":"invalid","message":"unable to parse \'bad value=1 1714557600\': x"}' }
      end
      return { status = 204 }
    end, { org = "o" })
    local result = it_is.writer:write({ message("d", "a", "b", "bad", "c") }, 5)
    assert.same({ 3, { unparsable = 1 }, 2 }, { result.stored, result.dropped, #it_is.requests })
  end)

  it("finds them by halves where nothing is quoted", function()
    local it_is = fake(function(request)
      return request.body:find("bad", 1, true) and { status = 400, body = "no" } or { status = 204 }
    end, { org = "o" })
    local result = it_is.writer:write({ message("d", "bad1", "a", "b", "c", "d", "bad2", "e", "f", "bad3") }, 5)
    assert.same({ 6, { refused = 3 } }, { result.stored, result.dropped })
    assert.is_nil(result.err)
  end)

  it("keeps all of a server that refuses whatever it is given", function()
    local it_is = fake(function() return { status = 400, body = '{"error":"database is required"}' } end)
    local result = it_is.writer:write({ message("d", "a", "b", "c", "d", "e") }, 5)
    assert.same({ 0, {}, "HTTP_400" }, { result.stored, result.dropped, result.err.code })
    assert.is_true(#it_is.requests < 40)
  end)

  it("sends less when a body is too large, and drops a line that alone is", function()
    local it_is = fake(function(request) return { status = #request.body > 60 and 413 or 204 } end)
    local result = it_is.writer:write({ message("d", "a", "b", "c", "d", ("x"):rep(100)) }, 5)
    assert.same({ 4, { too_large = 1 } }, { result.stored, result.dropped })
  end)

  it("gives up in time", function()
    local it_is = fake(function(_, session)
      session.now = session.now + 3
      return { status = 413 }
    end)
    local result = it_is.writer:write({ message("d", "a", "b", "c", "d") }, 5)
    assert.equal("timeout", result.err.code)
    assert.equal(2, #it_is.requests)
  end)

  it("names messages that are none, and writes the others", function()
    local it_is = fake(fine)
    local result = it_is.writer:write({ "no json", message("d", "a"), "{}" }, 5)
    assert.same({ 1, { 1, 3 } }, { result.stored, result.bad })
    assert.is_string(result.why)
  end)

  it("passes on how long a server wants to be left alone", function()
    local it_is = fake(function() return { status = 429, retry_after = 17 } end)
    assert.equal(17, it_is.writer:write({ message("d", "a") }, 5).err.retry_after)
  end)
end)
