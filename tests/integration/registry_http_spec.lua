local loop = require("loop")
local program = require("program")
local registry = require("registry_server")
local uv = require("luv")
local wait = require("wait")

local A, B, C = "a.shop.loda", "b.shop.loda", "c.shop.loda"
local CPU = { _id = "1", name = "cpu.idle", measurement_type = "CPU", interval = "10" }
local SSH = { _id = "2", name = "PORT.sshd.22", measurement_type = "PORT", port = "22", interval = "30" }

local folder, server, source, hostname, said

local function new_source(conf, options)
  local all = { registryaddr = server.address, ifaceprefix = {}, pluginsdir = folder .. "/plugins",
    sysfs = folder .. "/sys", registryca = "", registrycert = "", registrykey = "" }
  for key, value in pairs(conf or {}) do all[key] = value end
  options = options or {}
  options.run = require("agent.worker.client").run
  options.hostname = function() return hostname end
  options.log = { warning = function(_, text) said[#said + 1] = text end }
  return require("agent.registry.http").new(all, options)
end

local function fetch(known)
  local err, answer
  source:fetch(function(e, a) err, answer = e, a end, known)
  wait.until_true(function() return err or answer end, 20000)
  return answer, err
end

local function report(state)
  local done, err
  source:report(state, function(e) done, err = true, e end)
  wait.until_true(function() return done end, 20000)
  return err
end

local function targets()
  local list = {}
  for i, request in ipairs(server.requests) do list[i] = request.method .. " " .. request.target end
  return list
end

local function start(namespaces)
  server = registry.start(namespaces)
  source = new_source()
end

describe("the HTTP source", function()
  before_each(function()
    folder, hostname, said = program.folder(), "web07", {}
  end)
  after_each(function()
    server:close()
    program.remove(folder)
  end)

  it("fetches the namespaces, then the items of each, over one errand's connections", function()
    start({ [A] = { CPU, SSH }, [B] = { SSH }, [C] = {} })
    local answer = assert(fetch())
    assert.same({ CPU, SSH }, answer.namespaces[A].items)
    assert.same({ SSH }, answer.namespaces[B].items)
    assert.same({}, answer.namespaces[C].items)
    assert.same({ [A] = registry.id(A), [B] = registry.id(B), [C] = registry.id(C) }, answer.ids)
    assert.equal(4, #server.requests)
    assert.equal("POST /api/v1/agent/ns", targets()[1])
    assert.equal('{"hostname":"web07","ip":"","sn":""}', server.requests[1].body)
    assert.equal("application/json;charset=utf-8", server.requests[1].headers["content-type"])
    assert.is_true(server.connections <= 3)
  end)

  it("reuses the connection for what follows one after another", function()
    start({ [A] = { CPU } })
    assert(fetch())
    assert.equal(2, #server.requests)
    assert.equal(1, server.connections)
  end)

  it("takes hundreds of items in their order", function()
    local items = {}
    for i = 1, 950 do items[i] = { name = "PORT.p." .. i, measurement_type = "PORT", port = tostring(i) } end
    start({ [A] = items, [B] = { CPU } })
    local answer = assert(fetch())
    assert.same(items, answer.namespaces[A].items)
    assert.same({ CPU }, answer.namespaces[B].items)
  end)

  it("does not send again what is the same as last time", function()
    start({ [A] = { CPU }, [B] = { SSH } })
    local first = assert(fetch())
    server.namespaces[B] = { SSH, CPU }
    local second = assert(fetch({ [A] = first.namespaces[A].digest, [B] = first.namespaces[B].digest }))
    assert.same({ same = true, digest = first.namespaces[A].digest }, second.namespaces[A])
    assert.same({ SSH, CPU }, second.namespaces[B].items)
    assert.not_equal(first.namespaces[B].digest, second.namespaces[B].digest)
  end)

  it("takes a machine without namespaces, and lists that are null or empty", function()
    for _, none in ipairs({ "{}", "null", "[]" }) do
      start()
      server:script("POST", registry.data(none))
      assert.same({ ids = {}, namespaces = {} }, (fetch()))
      server:close()
    end
    start({ [A] = { CPU } })
    for _, none in ipairs({ "[]", "null" }) do
      server:script("GET", registry.data(none))
      assert.same({}, assert(fetch()).namespaces[A].items)
    end
  end)

  it("keeps numbers and booleans, takes null as empty and passes on what no item can be", function()
    start({ [A] = {} })
    server:script("GET",
      registry.data('[{"name":"x","port":22,"on":true,"comment":null,"deep":{"a":[1]}},"text",null]'))
    assert.same({ { name = "x", port = 22, on = true, comment = "", deep = {} }, "text", "null" },
      assert(fetch()).namespaces[A].items)
  end)

  it("asks for a namespace by its escaped name, and not at all for what is none", function()
    start()
    server:script("POST", registry.data('{"a&b=c.loda":"1","ok-1_x.loda":"2","' .. ("n"):rep(60) .. '":"3"}'))
    local answer = assert(fetch())
    assert.same({ "POST /api/v1/agent/ns", "GET /api/v1/agent/resource?ns=ok-1_x.loda&type=collect" }, targets())
    assert.same({ ["ok-1_x.loda"] = "2" }, answer.ids)
    assert.equal("namespace", answer.namespaces["a&b=c.loda"].error.code)
  end)

  describe("names what went wrong with the namespaces:", function()
    local cases = {
      { "a 500", registry.status(500, "db is away"), "status", "status 500: db is away$" },
      { "a 500 without an envelope", function(peer) peer.write("HTTP/1.1 502 X\r\nContent-Length: 2\r\n\r\nno") end,
        "status", "status 502$" },
      { "a 204", function(peer) peer.write("HTTP/1.1 204 X\r\n\r\n") end, "status", "status 204$" },
      { "garbage", registry.body("<html>"), "envelope", "not JSON: .*character 1" },
      { "another JSON", registry.body('{"web.shop.loda":"id"}'), "envelope", "not an envelope: it has no data" },
      { "a bare string", registry.body('"x"'), "envelope", "not an envelope but a string" },
      { "a list for the namespaces", registry.data('["a.loda"]'), "envelope", "data is an array" },
      { "a number for the namespaces", registry.data("7"), "envelope", "data is a number" },
      { "an id that is no string", registry.data('{"a.loda":7}'), "envelope", "the id of a%.loda is a number" },
      { "a cut answer", registry.cut, "cut", "transfer closed" },
      { "a dropped connection", registry.drop, "cut", "Empty reply" },
      { "50 MB", registry.giant(50e6), "too_large", "larger than it may be" },
      { "50 MB of untold length", registry.giant(50e6, true), "too_large", "larger than it may be" },
      { "a head without an end", registry.endless_head, "too_large", "larger than 64 KiB" },
      { "another host", registry.redirect(307, "http://127.0.0.2:1/x"), "redirect",
        "another host, http://127%.0%.0%.2:1/x$" },
      { "another scheme", registry.redirect(307, "https://127.0.0.1/x"), "redirect", "another host" },
      { "another port", registry.redirect(308, "http://127.0.0.1:1/x"), "redirect", "another host" },
      { "a file", registry.redirect(307, "file:///etc/passwd"), "redirect", "another host, file:" },
      { "a circle", registry.redirect(307, "/api/v1/agent/ns"), "redirect", "redirects for ever" },
      { "a redirect to GET", registry.redirect(302, "/x"), "redirect", "redirects a POST" },
    }
    for _, case in ipairs(cases) do
      local name, behaviour, code, pattern = unpack(case)
      it(name, function()
        start({ [A] = { CPU } })
        server:script("POST", behaviour)
        local answer, err = fetch()
        assert.is_nil(answer)
        assert.equal(code, err.code)
        assert.matches(pattern, err.message)
        assert.matches("POST http://127.0.0.1:" .. server.port .. "/api/v1/agent/ns: ", err.message, 1, true)
      end)
    end
  end)

  it("lets one namespace fail alone, whatever it does", function()
    for _, case in ipairs({
      { registry.status(500, "node not found"), "status", "status 500: node not found" },
      { registry.body("{"), "envelope", "not JSON" },
      { registry.data('{"a":"b"}'), "envelope", "data is an object" },
      { registry.data('"x"'), "envelope", "data is a string" },
      { registry.giant(9 * 2 ^ 20), "too_large", "larger" },
      { registry.cut, "cut", "" },
      { registry.drop, "cut", "" },
      { registry.redirect(302, "http://elsewhere.example.org/"), "redirect", "elsewhere.example.org" },
    }) do
      start({ [A] = { CPU }, [B] = { SSH }, [C] = { CPU } })
      server:script("ns=" .. B, case[1])
      local answer = assert(fetch())
      assert.same({ CPU }, answer.namespaces[A].items)
      assert.same({ CPU }, answer.namespaces[C].items)
      assert.equal(case[2], answer.namespaces[B].error.code)
      assert.matches(case[3], answer.namespaces[B].error.message, 1, true)
      assert.matches("resource?ns=" .. B, answer.namespaces[B].error.message, 1, true)
      server:close()
    end
  end)

  it("keeps the deadline with what never ends, and delivers what came before it", function()
    for _, behaviour in ipairs({ registry.hang, registry.slow(100, registry.envelope("[]")) }) do
      start({ [A] = { CPU }, [B] = { SSH } })
      source = new_source(nil, { deadline_ms = 500 })
      server:script("ns=" .. B, behaviour)
      local began = uv.hrtime()
      local answer = assert(fetch())
      assert.is_true((uv.hrtime() - began) / 1e6 < 1500)
      assert.same({ CPU }, answer.namespaces[A].items)
      assert.equal("timeout", answer.namespaces[B].error.code)
      server:close()
    end
    start({})
    source = new_source(nil, { deadline_ms = 300 })
    server:script("POST", registry.hang)
    local _, err = fetch()
    assert.equal("timeout", err.code)
    assert.matches("/api/v1/agent/ns: ", err.message, 1, true)
  end)

  it("is not held up by several namespaces that hang", function()
    local namespaces = { [A] = { CPU } }
    for i = 1, 12 do namespaces["hang" .. i .. ".loda"] = {} end
    start(namespaces)
    source = new_source(nil, { deadline_ms = 1500 })
    server:script("ns=hang", registry.hang)
    assert.same({ CPU }, assert(fetch()).namespaces[A].items)
  end)

  it("says that nobody listens, or that the name can't be resolved", function()
    start({})
    source = new_source({ registryaddr = "127.0.0.1:" .. loop.free_port() })
    local _, err = fetch()
    assert.equal("connect", err.code)
    assert.matches("^POST http://127", err.message)
    source = new_source({ registryaddr = "http://user:secret@no-such-name.invalid/" })
    _, err = fetch()
    assert.equal("resolve", err.code)
    assert.is_nil(err.message:find("secret"))
  end)

  it("follows a redirect that stays at home", function()
    start({ [A] = { CPU } })
    server:script("^POST /api/v1/agent/ns$", registry.redirect(307, "/moved/ns"))
    server:script("^POST /moved/ns$", registry.data(('{"%s":"1"}'):format(A)))
    assert.same({ CPU }, assert(fetch()).namespaces[A].items)
    assert.matches('"hostname":"web07"', server.requests[2].body)
  end)

  it("asks for compressed answers, and bounds what they unpack to", function()
    start({ [A] = {}, [B] = {} })
    server:script("ns=" .. A, registry.gzip(registry.envelope('[{"name":"x","measurement_type":"CPU"}]')))
    server:script("ns=" .. B, registry.gzip(registry.envelope('"' .. ("x"):rep(9 * 2 ^ 20) .. '"')))
    local answer = assert(fetch())
    assert.same({ { name = "x", measurement_type = "CPU" } }, answer.namespaces[A].items)
    assert.equal("too_large", answer.namespaces[B].error.code)
    assert.matches("gzip", server.requests[1].headers["accept-encoding"])
  end)

  it("goes through the environment's proxy, but not to this very machine", function()
    start({ [A] = { CPU } })
    uv.os_setenv("HTTP_PROXY", server.address)
    finally(function() uv.os_unsetenv("HTTP_PROXY") end)
    source = new_source({ registryaddr = "http://registry.example.org" })
    server:script("^POST http://registry.example.org/api/v1/agent/ns$", registry.data("{}"))
    assert.same({ ids = {}, namespaces = {} }, (fetch()))
    assert.equal("registry.example.org", server.requests[1].headers.host)
    source = new_source()
    assert.same({ CPU }, assert(fetch()).namespaces[A].items)
    assert.equal("POST /api/v1/agent/ns", targets()[2])
  end)

  it("maps libcurl into the worker alone, neither into who asks nor into a running agent", function()
    start({ [A] = { CPU } })
    assert(fetch())
    assert.is_nil(program.read("/proc/self/maps"):find("libcurl"))
    local agent = program.agent({ "start", "-f",
      program.configure(folder, { agent = { registryaddr = server.address } }) })
    finally(function()
      agent.kill()
      agent.wait()
    end)
    program.ready(folder, agent)
    assert.is_nil(program.read(("/proc/%d/maps"):format(agent.pid)):find("libcurl"))
  end)

  describe("reports", function()
    it("what the registry wants to know, with nulls where nothing was ever known", function()
      start({ [A] = { CPU }, [B] = {} })
      assert.is_nil(report())
      local body = server.requests[1].body
      assert.matches('"uuid":null', body, 1, true)
      assert.matches('"ns":null', body, 1, true)
      assert.matches('"newiplist":[]', body, 1, true)
      assert.matches('"oldiplist":null', body, 1, true)
      assert(fetch())
      assert.is_nil(report())
      local got = server.reports[2]
      assert.same({ A, B }, got.ns)
      assert.same({ registry.id(A), registry.id(B) }, got.uuid)
      assert.same({ "" }, got.oldiplist)
      assert.equal("web07", got.newhostname)
      assert.equal("web07", got.oldhostname)
      assert.equal("loda-agent", got.agenttype)
      assert.equal(jit.version, got.goversion)
      assert.is_false(got.update)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d[+-]%d%d:%d%d$", got.utime)
    end)

    it("the serial number with its newline, and the same to the namespaces", function()
      start({ [A] = {} })
      os.execute("mkdir -p " .. folder .. "/sys/class/dmi/id")
      program.write(folder .. "/sys/class/dmi/id/product_serial", "7C X12 34\n")
      assert(fetch())
      assert.is_nil(report())
      assert.matches('"sn":"7CX1234\\n"', server.requests[1].body, 1, true)
      assert.equal("7CX1234\n", server.reports[1].sn)
    end)

    it("new addresses, once, whether or not the registry is there for the first time", function()
      start({ [A] = { CPU } })
      assert(fetch())
      program.write(folder .. "/plugins/.ip", "192.0.2.1,192.0.2.2")
      source = new_source({ ifaceprefix = { "" } })
      local ips = server.requests[1].body:match('"ip":"(.-)"')
      assert.equal("", ips)
      server:script("report", registry.status(500, "no"))
      assert.is_table(report())
      assert.equal("192.0.2.1,192.0.2.2", program.read(folder .. "/plugins/.ip"))
      server:script("report", nil)
      assert.is_nil(report())
      local got = server.reports[1]
      assert.is_true(got.update)
      assert.same({ "192.0.2.1", "192.0.2.2" }, got.oldiplist)
      if got.newiplist[1] then -- a machine with nothing but loopback has no address
        assert.equal(table.concat(got.newiplist, ","), program.read(folder .. "/plugins/.ip"))
      end
    end)

    it("and says when the registry doesn't take it", function()
      start({})
      server:script("report", registry.status(500, "event service is away"))
      local err = report()
      assert.equal("status", err.code)
      assert.matches("/api/v1/agent/report: status 500: event service is away", err.message, 1, true)
    end)
  end)

  describe("after the host name changed", function()
    local function cached() return program.read(folder .. "/plugins/.hostname") end

    it("reports the new name before it asks under it, and remembers it then", function()
      start({ [A] = { CPU } })
      assert(fetch())
      assert.equal("web07", cached())
      hostname = "web08"
      assert.same({ CPU }, assert(fetch()).namespaces[A].items)
      assert.equal("POST /api/v1/agent/report", targets()[3])
      local got = server.reports[1]
      assert.same({ "web07", "web08", true }, { got.oldhostname, got.newhostname, got.update })
      assert.same({ A }, got.ns)
      assert.equal("web08", cached())
      assert.matches('"hostname":"web08"', server.requests[4].body, 1, true)
      assert(fetch())
      assert.equal(1, #server.reports)
    end)

    it("goes on where the registry refuses the report, and keeps the old name in mind", function()
      start({ [A] = { CPU } })
      assert(fetch())
      server:script("report", registry.status(500, "store is away"))
      hostname = "web08"
      assert.same({ CPU }, assert(fetch()).namespaces[A].items)
      assert.matches("web07 to web08, not taken: .*store is away", said[1])
      assert.equal("web07", cached())
      server:script("report", nil)
      assert.is_nil(report())
      assert.equal("web08", cached())
      assert.equal("web07", server.reports[1].oldhostname)
    end)

    it("recovers where nobody knows the old name any more", function()
      start({ [A] = { CPU } })
      assert(fetch())
      server.machines = {}
      hostname = "web08"
      assert.same({ CPU }, assert(fetch()).namespaces[A].items)
      assert.equal("web07", cached())
      assert.is_nil(report())
      assert.equal("web08", cached())
      assert.is_nil(report())
      assert.is_false(server.reports[2].update)
    end)

    it("waits a few times for a report that gets no answer, then goes on without", function()
      start({ [A] = { CPU } })
      assert(fetch())
      source = new_source(nil, { deadline_ms = 200 })
      server:script("report", registry.hang)
      hostname = "web08"
      for _ = 1, 3 do
        local answer, err = fetch()
        assert.is_nil(answer)
        assert.equal("renamed", err.code)
      end
      for _ = 1, 2 do assert.same({ CPU }, assert(fetch()).namespaces[A].items) end
      assert.equal("web07", cached())
      server:script("report", nil)
      assert.is_nil(report())
      assert.equal("web08", cached())
    end)
  end)
end)
