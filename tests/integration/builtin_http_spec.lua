-- ctx.http against real servers: plain ones of the test, and TLS by openssl s_server.

local builtin = require("builtin")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local OK = "HTTP/1.1 200 OK\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 5\r\n\r\nhello"

describe("ctx.http", function()
  local folder, server, tls

  before_each(function() folder = builtin.folder() end)

  after_each(function()
    if server then server.close() end
    if tls then
      tls.kill()
      tls.wait()
    end
    server, tls = nil, nil
    uv.run("nowait")
    program.remove(folder)
  end)

  local function outcome_of(body, params) return builtin.run(folder, body, { params = params }) end

  local function good(body, params)
    local outcome = outcome_of(body, params)
    assert(outcome.status == 0, outcome.reason)
    return function(name) return builtin.value(outcome, name) end
  end

  -- The first request whole, then the answer.
  local function serve(answer)
    server = builtin.answering(function(request)
      if request:find("\r\n\r\n") then
        if type(answer) == "function" then return answer(request) end
        return answer
      end
    end)
    return { url = ("http://127.0.0.1:%d/x?y=1"):format(server.port), port = server.port }
  end

  it("has status, headers, body and the phases of time", function()
    local value = good([[
      local r = assert(ctx.http{ url = params.url, headers = { ["X-Mine"] = "yes" } })
      local t = r.times
      return { status = r.status, body = r.body, one = r.headers["x-one"], connect = t.connect, first = t.first_byte,
        total = t.total, tls = t.tls, address = r.address, expires = r.certificate_expires == nil }
    ]], serve(function(request)
      assert.match("^GET /x%?y=1 HTTP/1.1\r\n", request)
      assert.match("X%-Mine: yes\r\n", request)
      return OK
    end))
    assert.same({ 200, "hello", "1, 2", 0, "127.0.0.1", true },
      { value("status"), value("body"), value("one"), value("tls"), value("address"), value("expires") })
    assert.is_true(value("connect") > 0 and value("first") >= value("connect") and value("total") >= value("first"))
  end)

  it("sends a body by the method asked for", function()
    local value = good([[
      return { a = ctx.http{ url = params.url, method = "PUT", body = "12345" }.body,
        b = ctx.http{ url = params.url, body = "x" }.body, c = ctx.http{ url = params.url, method = "HEAD" }.status }
    ]], serve(function(request)
      local method, length = request:match("^(%u+) "), request:match("Content%-Length: (%d+)")
      local text = method .. (length or "")
      return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, method == "HEAD" and "" or text)
    end))
    assert.same({ "PUT5", "POST1", 200 }, { value("a"), value("b"), value("c") })
  end)

  it("follows redirects only when asked to", function()
    local params = serve(function(request)
      if request:find("^GET /end") then return OK end
      return "HTTP/1.1 302 Found\r\nLocation: /end\r\nX-Only: first\r\nContent-Length: 0\r\n\r\n"
    end)
    local value = good([[
      local r = ctx.http{ url = params.url, redirects = 2 }
      return { a = ctx.http{ url = params.url }.status, b = r.status, c = r.headers["x-only"] or "gone" }
    ]], params)
    assert.same({ 302, 200, "gone" }, { value("a"), value("b"), value("c") })
  end)

  it("says by a code why there is no answer", function()
    local value = good([[
      local function code(request) return (select(3, ctx.http(request))) end
      return {
        refused = code{ url = "http://127.0.0.1:" .. params.closed }, name = code{ url = "http://nowhere.invalid/" },
        scheme = code{ url = "file:///etc/passwd" }, slow = code{ url = params.url .. "&slow", timeout = 0.2 },
        cut = code{ url = params.url .. "&cut" }, large = code{ url = params.url .. "&large", max_body = 100 },
        tls = code{ url = "https://127.0.0.1:" .. params.port, timeout = 3 },
      }
    ]], (function()
      local params = serve(function(request)
        if request:find("slow") then return nil end
        if request:find("cut") then return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx" end
        return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" .. ("x"):rep(1000)
      end)
      params.closed = loop.free_port()
      return params
    end)())
    local codes = {}
    for _, name in ipairs({ "refused", "name", "scheme", "slow", "cut", "large" }) do codes[name] = value(name) end
    assert.same({ refused = "connect", name = "resolve", scheme = "url", slow = "timeout", cut = "cut",
      large = "too_large" }, codes)
  end)

  it("lets many wait at once", function()
    local waiting = {}
    server = builtin.server(function(client)
      client:read_start(function() end)
      waiting[#waiting + 1] = client
      if #waiting < 20 then return end
      for _, one in ipairs(waiting) do one:write(OK) end
    end)
    -- One function in twenty items: none is answered before all have asked.
    builtin.write(folder, "probe", "return { status = assert(ctx.http{ url = params.url }).status }")
    local records = {}
    for i = 1, 20 do
      records[i] = { type = "BUILTIN", ns = "n" .. i .. ".loda", name = "probe", run = "probe", interval = 10,
        params = { url = ("http://127.0.0.1:%d/"):format(server.port) } }
    end
    local done = 0
    local room = require("agent.builtin").new({
      conf = require("agent.config").defaults(), run = require("agent.worker.client").run,
      namespaces = function() return {} end, now = require("host.clock").mono, after = require("agent.timer").after,
      log = builtin.log, directories = { folder .. "/builtin" },
      outcome = { report = function(_, run)
        if builtin.value(run, "status") == 200 then done = done + 1 end
      end },
      scheduler = { remove = function() end,
        every = function(_, _, _, fn) require("agent.timer").after(0, function() fn(function() end) end) end },
    })
    room:apply(records)
    program.wait("twenty answers", 20, function() return done == 20 end)
    room:close()
  end)

  it("checks certificates and says when they expire", function()
    local function openssl(command)
      assert(os.execute(("cd %s && openssl %s >>openssl.log 2>&1"):format(folder, command)) == 0, command)
    end
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -keyout key.pem -out cert.pem"
      .. " -subj /CN=localhost -addext subjectAltName=DNS:localhost")
    local port = loop.free_port()
    tls = program.spawn("/usr/bin/openssl", { "s_server", "-accept", "127.0.0.1:" .. port, "-www", "-cert",
      folder .. "/cert.pem", "-key", folder .. "/key.pem" })
    program.wait("openssl s_server", 10, function() return tls.output:find("ACCEPT") end)
    local value = good([[
      local none, why, code = ctx.http{ url = params.url }
      local r = assert(ctx.http{ url = params.url, ca_file = params.ca })
      local any = assert(ctx.http{ url = params.url, verify = false })
      return { code = code, why = why, status = r.status, days = (r.certificate_expires - ctx.now()) / 86400,
        tls = r.times.tls - r.times.connect, any = any.status }
    ]], { url = ("https://localhost:%d/"):format(port), ca = folder .. "/cert.pem" })
    assert.same({ "tls", 200, 200 }, { value("code"), value("status"), value("any") })
    assert.is_true(value("days") > 2.9 and value("days") <= 3)
    assert.is_true(value("tls") > 0)
    assert.match("certificate", value("why"))
  end)

  it("speaks to a unix socket", function()
    local pipe = uv.new_pipe(false)
    pipe:bind(folder .. "/s")
    uv.fs_chmod(folder .. "/s", 511)
    pipe:listen(1, function()
      local client = uv.new_pipe(false)
      pipe:accept(client)
      client:read_start(function(_, chunk)
        if not chunk then return client:close() end
        client:write(OK)
      end)
    end)
    local value = good('return { body = assert(ctx.http{ url = "http://localhost/", unix = params.path }).body }',
      { path = folder .. "/s" })
    pipe:close()
    assert.equal("hello", value("body"))
  end)

  it("takes no header that holds a line break", function()
    assert.match("control character",
      outcome_of('return { ctx.http{ url = "http://x/", headers = { A = "b\\r\\nC: d" } } }').reason)
  end)

  it("counts the days of a certificate as the calendar does", function()
    local web = require("agent.worker.builtin.web")
    for text, time in pairs({ ["Jan  1 00:00:00 1970 GMT"] = 0, ["Feb 29 12:00:00 2024 GMT"] = 1709208000,
      ["Mar  1 00:00:00 2100 GMT"] = 4107542400, ["Dec 31 23:59:59 1999 GMT"] = 946684799 }) do
      assert.equal(time, web.certificate_time(text), text)
    end
  end)
end)
