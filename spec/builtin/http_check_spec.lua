-- builtin/http_check.lua: how answers are judged, and what is told without one.

local shipped = require("shipped")

describe("builtin http_check", function()
  local check = shipped.load("http_check")
  local TAGS = { url = "https://shop.example.org/health" }

  local function answer_of(fields)
    local answer = { status = 200, body = "all is ok", headers = {}, certificate_expires = 1700001000 + 10 * 86400,
      times = { dns = 0.01, connect = 0.03, tls = 0.08, first_byte = 0.18, total = 0.2 } }
    for key, value in pairs(fields or {}) do answer[key] = value end
    return answer
  end

  -- answers: one for each request, or { why =, code = }.
  local function run(given, answers, ctx)
    ctx = ctx or shipped.ctx()
    ctx.asked = {}
    function ctx.http(request)
      ctx.asked[#ctx.asked + 1] = request
      local answer = answers[#ctx.asked]
      if answer.code then return nil, answer.why, answer.code end
      return answer
    end
    given.url = given.url or "https://user:hidden@shop.example.org/health?token=hidden"
    local metrics, why = check.run(shipped.params(check, given), ctx)
    return metrics, why, ctx
  end

  local function values(metrics)
    local found = {}
    for _, metric in ipairs(metrics) do
      assert.same(TAGS, metric.tags)
      found[metric.name] = metric.value
    end
    return found
  end

  local function near(expected, value) assert.is_true(math.abs(expected - value) < 1e-6, tostring(value)) end

  it("tells status, size, phases and the certificate's days of a good answer", function()
    local found = values(run({ match = "ok" }, { answer_of() }))
    assert.same({ 1, 0, 200, 9, 1, 10 }, { found.up, found.result, found.status, found.size,
      found["certificate.valid"], found["certificate.days"] })
    near(0.01, found["dns.seconds"])
    near(0.02, found["connect.seconds"])
    near(0.05, found["tls.seconds"])
    near(0.1, found["wait.seconds"])
    near(0.02, found["transfer.seconds"])
    near(0.2, found.seconds)
  end)

  it("has phases that are never negative, and none of TLS without it", function()
    local phases = check.phases({ dns = 0.2, connect = 0.1, tls = 0, first_byte = 0.3, total = 0.25 })
    assert.is_nil(phases["tls.seconds"])
    for name, seconds in pairs(phases) do assert.is_true(seconds >= 0, name) end
  end)

  it("takes the statuses that it is told to", function()
    for _, case in ipairs({ { "200-399", 399, 0 }, { "200-399", 400, 1 }, { "204", 204, 0 }, { "204", 200, 1 },
      { "200, 401-403", 402, 0 } }) do
      local found = values(run({ status = case[1] }, { answer_of({ status = case[2] }) }))
      assert.same({ case[3], case[3] == 0 and 1 or 0 }, { found.result, found.up })
    end
    for _, wrong in ipairs({ "2xx", "20", "200-3000", "200-30", ",", "200;300", "-200" }) do
      local metrics, why = run({ status = wrong }, {})
      assert.is_nil(metrics, wrong)
      assert.match("^params.status: ", why)
    end
  end)

  it("looks for a text as it is, and for a pattern as a pattern", function()
    local body = { answer_of({ body = "load: 5% (ok)" }) }
    for _, case in ipairs({ { { match = "5% (ok)" }, 0 }, { { match = "5%%" }, 2 }, { { pattern = "load: %d+%%" }, 0 },
      { { pattern = "^ok" }, 2 }, { { match = "load", pattern = "zzz" }, 2 } }) do
      assert.equal(case[2], values(run(case[1], body)).result)
    end
  end)

  it("has a number for each reason why there is no answer, and sends what it knows", function()
    for code, number in pairs({ resolve = 3, connect = 4, timeout = 6, cut = 7, too_large = 8, failed = 9 }) do
      assert.same({ up = 0, result = number }, values(run({}, { { why = "why", code = code } })))
    end
  end)

  it("fails where it is our own affair", function()
    for _, code in ipairs({ "url", "busy" }) do
      local metrics, why = run({}, { { why = "why not", code = code } })
      assert.same({ nil, "why not" }, { metrics, why })
    end
    local ctx = shipped.ctx({ read_file = function() return nil, "ENOENT" end })
    assert.equal("params.ca_file: ENOENT", select(2, run({ ca_file = "/none" }, {}, ctx)))
    assert.match("^params.pattern: malformed pattern", select(2, run({ pattern = "[" }, {})))
  end)

  it("tells until when a refused certificate is good, and gives nothing to who showed it", function()
    local metrics, _, ctx = run({ headers = { Authorization = "hidden" }, body = "hidden", user = "u:hidden" },
      { { why = "certificate has expired", code = "tls" }, answer_of({ certificate_expires = 1700001000 - 86400 }) })
    assert.same({ up = 0, result = 5, ["certificate.days"] = -1, ["certificate.valid"] = 0 }, values(metrics))
    local second = ctx.asked[2]
    assert.same({ "HEAD", false }, { second.method, second.verify })
    assert.same({}, { second.headers, second.body, second.user, second.key })
    metrics = run({}, { { why = "no TLS", code = "tls" }, { why = "no TLS", code = "tls" } })
    assert.same({ up = 0, result = 5 }, values(metrics))
  end)

  it("does not repeat the secrets of the URL where the certificate was refused", function()
    local _, _, ctx = run({}, { { why = "certificate has expired", code = "tls" }, answer_of() })
    assert.equal("https://shop.example.org/", ctx.asked[2].url)
  end)

  it("logs when the result changes, and only then", function()
    local ctx = shipped.ctx()
    for _, status in ipairs({ 200, 500, 500, 200, 200 }) do run({}, { answer_of({ status = status }) }, ctx) end
    assert.same({ "warning: status 500", "info: good again" }, ctx.records)
  end)

  it("gives up before the run is over", function()
    local _, _, ctx = run({ timeout = 60 }, { answer_of() })
    assert.equal(9, ctx.asked[1].timeout)
  end)

  it("shows no secrets of the URL in its tag", function()
    for url, tag in pairs({
      ["http://a:b@h:1/x?y#z"] = "http://h:1/x", ["http://h"] = "http://h", ["http://h?q"] = "http://h",
      ["http://a@b@h/"] = "http://h/", ["http://h/p@q"] = "http://h/p@q", nonsense = "",
    }) do
      assert.equal(tag, check.public(url))
    end
  end)

  it("emits what is documented", function()
    shipped.compare("http_check", (run({}, { answer_of() })))
  end)
end)
