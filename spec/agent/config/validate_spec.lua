local config = require("agent.config")

local function problems(given, lines)
  local conf, found = config.validate(given, lines)
  assert.is_nil(conf)
  return found
end

local function problem(given)
  local found = problems(given)
  assert.equal(1, #found)
  return found[1].key, found[1].message
end

describe("the configuration's schema", function()
  it("has a default for every key", function()
    local conf = config.defaults()
    assert.equal("127.0.0.1:1232", conf.agent.listen)
    assert.equal("/var/lib/agent/spool", conf.output.spooldir)
    assert.equal(16 * 2 ^ 20, conf.output.maxmemory)
    assert.same({ "tcp://127.0.0.1:4150" }, conf.output.servers)
    assert.same({}, conf.agent.ifaceprefix)
    assert.same({ group = "", post = "all", loopback = "all", tokenfile = "",
      tlscert = "", tlskey = "", tlsca = "", hosts = {}, logdirs = {},
      connections = 256, maxpost = 2 * 1024 * 1024 }, conf.http)
    assert.equal(5, conf.agent.mountdeadline)
    for _, entry in ipairs(require("agent.config.schema")) do
      if entry.type ~= "ignored" and entry.type ~= "section" then
        local section, name = entry.key:match("^(%w+)%.?(%w*)$")
        local value = conf[section]
        if name ~= "" then value = value[name] end
        assert.is_not_nil(value, entry.key)
      end
      assert.is_string(entry.says)
    end
  end)

  it("takes every default as a value", function()
    local defaults = config.defaults()
    assert.same(defaults, (config.validate(defaults)))
  end)

  it("hands out defaults that no one shares", function()
    config.defaults().output.servers[1] = "changed"
    assert.same({ "tcp://127.0.0.1:4150" }, config.defaults().output.servers)
  end)

  it("reads more outputs, each complete and with a spool of its own", function()
    local conf = assert(config.validate({ output = { maxmemory = "1MiB", also = {
      { name = "file", path = "/tmp/p", required = false, ack = "2s" } } } }))
    assert.same({}, config.defaults().output.also)
    local also = conf.output.also[1]
    assert.same({ "file", "/tmp/p", false, 2 }, { also.name, also.path, also.required, also.ack })
    assert.equal(16 * 2 ^ 20, also.maxmemory)
    assert.equal("/var/lib/agent/spool-file", also.spooldir)
    assert.is_nil(also.also)
    assert.same(conf, (config.validate(conf)))
  end)

  it("names what is wrong with an output, and with all of them together", function()
    assert.equal("output.also[1].nam", (problem({ output = { also = { { nam = "file" } } } })))
    assert.equal("output.also[2].ack", (problem({ output = { also = { { spooldir = "/x" }, { ack = {} } } } })))
    assert.equal("output.also[1].also", (problem({ output = { also = { { also = {} } } } })))
    assert.equal("output.also[1]", (problem({ output = { also = { 7 } } })))
    assert.equal("output.also", (problem({ output = { also = 7 } })))
    assert.equal("output.also[2].spooldir", (problem({ output = { also = { { name = "file" }, { name = "file" } } } })))
    assert.equal("output.required", (problem({ output = { required = false } })))
    assert.is_table(config.validate({ output = { required = false, also = { { name = "file" } } } }))
  end)

  it("reads durations and sizes with units", function()
    local conf = assert(config.validate({
      agent = { mountdeadline = "1500ms", mininterval = "1m", intervals = { cpu = "30s", FS = 60, DISK = "1d" } },
      output = { maxmemory = "64MiB", maxsize = "100MB", ack = 2.5 },
      log = { logrotatesize = 104857600, loglevel = "warning", format = "json" },
    }))
    assert.equal(1.5, conf.agent.mountdeadline)
    assert.equal(60, conf.agent.mininterval)
    assert.same({ CPU = 30, FS = 60, DISK = 86400 }, conf.agent.intervals)
    assert.equal(67108864, conf.output.maxmemory)
    assert.equal(1e8, conf.output.maxsize)
    assert.equal(2.5, conf.output.ack)
    assert.equal(86400, conf.agent.intervals.DISK)
    assert.equal(104857600, conf.log.logrotatesize)
    assert.equal("WARNING", conf.log.loglevel)
  end)

  it("lets the spool follow the state directory", function()
    local conf = config.validate({ agent = { statedir = "run/state" } })
    assert.equal("run/state/spool", conf.output.spooldir)
  end)

  local refused = {
    ["agent.listen"] = { 1, "1232", "127.0.0.1", "127.0.0.1:70000", "a b:1", "::1:80", "x\n:1" },
    ["agent.socket"] = { 1, "a\0b", {} },
    ["agent.pidfile"] = { "", false },
    ["agent.registryaddr"] = { "ftp://x", "http://", "file:", "http://a b", "http://x:99999", "x?y", 5 },
    ["agent.pluginsuser"] = { "", "-u", "a b", ("x"):rep(40) },
    ["agent.exceptionns"] = { 5, "a b", "x/y", ("x"):rep(60) },
    ["agent.git"] = { "git://x/y.git", "git://%s/%s", "git://%d/%s", "--upload-pack=%s", "git://x y/%s" },
    ["agent.ifaceprefix"] = { "eth", { 1 }, { eth = true } },
    ["agent.mininterval"] = { 0, -1, "1x", "10", "1e3s", "2h", 0 / 0 },
    ["agent.intervals"] = { { SWAP = 10 }, { CPU = 0 }, { 10 }, "10s" },
    ["agent.ntpservers"] = { { "a b" }, { "x:0" }, "pool.ntp.org" },
    ["output.name"] = { "kafka", true },
    ["output.servers"] = { {}, { "udp://x:1" }, { "tcp://:4150" }, { "x" }, { "http://x:1/pub" } },
    ["output.buffersize"] = { 0, 1.5, "100" },
    ["output.maxmemory"] = { "1", "64M", "1TB", "1KiB", -5, "MiB" },
    ["log.loglevel"] = { "LOUD", 3 },
    ["log.logrotatenum"] = { -1, 101, 0.5 },
    ["builtins"] = { 1, "x" },
    ["http"] = { 1 },
  }
  for key, values in pairs(refused) do
    it("refuses what is no " .. key, function()
      local section, name = key:match("^(%w+)%.?(%w*)$")
      for _, value in ipairs(values) do
        local given = name == "" and { [section] = value } or { [section] = { [name] = value } }
        local at, message = problem(given)
        assert.equal(key, at)
        assert.truthy(message:find("want"), message)
      end
    end)
  end

  local accepted = {
    { "agent", "listen", "", "" }, { "agent", "listen", ":1232", "0.0.0.0:1232" },
    { "agent", "listen", "[::1]:0", "[::1]:0" }, { "agent", "socket", "", "" },
    { "agent", "registryaddr", "registry.example.org:8000", "http://registry.example.org:8000" },
    { "agent", "registryaddr", "https://r.example.org/x/", "https://r.example.org/x" },
    { "agent", "registryaddr", "http://u:p@r.example.org", "http://u:p@r.example.org" },
    { "agent", "registryaddr", "file:conf/registry.lua", "file:conf/registry.lua" },
    { "agent", "git", "git@git.example.org:%s.git", "git@git.example.org:%s.git" },
    { "agent", "ntpservers", { "0.pool.ntp.org", "[2001:db8::1]:123" }, { "0.pool.ntp.org:123", "[2001:db8::1]:123" } },
    { "output", "servers", { "10.0.0.5:4151", "http://a:1", "tcp://[::1]:4150" },
      { "10.0.0.5:4151", "http://a:1", "tcp://[::1]:4150" } },
  }
  for _, case in ipairs(accepted) do
    it(("reads %s.%s written as %s"):format(case[1], case[2], tostring(case[3])), function()
      local conf = assert(config.validate({ [case[1]] = { [case[2]] = case[3] }, http = { tokenfile = "/t" } }))
      assert.same(case[4], conf[case[1]][case[2]])
    end)
  end

  it("wants a token file where others than this host are to change things", function()
    for listen, wanted in pairs({ [":1232"] = true, ["10.0.0.1:1232"] = true, ["[::]:1232"] = true,
      ["web07:1232"] = true, ["127.0.0.1:1232"] = false, ["127.1.2.3:1"] = false, ["[::1]:1232"] = false,
      ["localhost:1"] = false, [""] = false }) do
      local conf, found = config.validate({ agent = { listen = listen } })
      assert.equal(wanted and "http.tokenfile" or nil, not conf and found[1].key or nil, listen)
      assert(config.validate({ agent = { listen = listen }, http = { tokenfile = "/t" } }))
    end
    assert.equal("http.tokenfile", (problem({ http = { loopback = "token" } })))
  end)

  it("suggests the nearest key for an unknown one", function()
    local cases = {
      ["agent.listn"] = "agent.listen", ["agent.Listen"] = "agent.listen", ["log.listen"] = "agent.listen",
      ["agnet"] = "agent", ["output.server"] = "output.servers", ["log.rotatesize"] = "log.logrotatesize",
    }
    for key, near in pairs(cases) do
      local section, name = key:match("^(%w+)%.?(%w*)$")
      local at, message = problem({ [section] = name == "" and {} or { [name] = "x" } })
      assert.equal(key, at)
      assert.equal(("unknown key, did you mean %s?"):format(near), message)
    end
    assert.same({ "agent.zzzzzzzz", "unknown key" }, { problem({ agent = { zzzzzzzz = 1 } }) })
  end)

  it("collects every problem, with its line, in the file's order", function()
    local found = problems({ agent = { listen = 5, pluginsuser = "" }, output = { name = "x", nam = 1 }, 7 },
      { ["agent.listen"] = 9, ["agent.pluginsuser"] = 3, ["output.name"] = 12, ["output.nam"] = 13, ["[1]"] = 2 })
    local lines = {}
    for i, one in ipairs(found) do lines[i] = one.line .. " " .. one.key end
    assert.same({ "2 [1]", "3 agent.pluginsuser", "9 agent.listen", "12 output.name", "13 output.nam" }, lines)
  end)

  it("names the type of a wrong value and never the value", function()
    local _, message = problem({ agent = { registryaddr = "ftp://me:s3cret@x" } })
    assert.truthy(message:find("got a string, want", 1, true))
    assert.is_nil(message:find("s3cret"))
  end)

  it("ignores what the Go agent had and this one has not, with a warning", function()
    local conf, warnings = config.validate({ agent = { registryaddr = "http://r", reportaddr = "x" },
      trace = { enable = true }, member = { key = "s3cret" } })
    assert.is_table(conf)
    assert.is_nil(conf.member)
    local keys = {}
    for i, warning in ipairs(warnings) do keys[i] = warning.key end
    assert.same({ "agent.reportaddr", "member", "trace" }, keys)
  end)

  it("warns of outputs that are less safe than they look", function()
    local function warned(output)
      local conf, warnings = config.validate({ agent = { registryaddr = "http://r" }, output = output })
      assert.is_truthy(conf)
      local keys = {}
      for _, warning in ipairs(warnings) do keys[warning.key] = true end
      return keys
    end
    assert.is_true(warned({ name = "influxdb", url = "http://db", token = "/t" })["output.url"])
    assert.is_nil(warned({ name = "influxdb", url = "https://db", token = "/t" })["output.url"])
    assert.is_nil(warned({ name = "influxdb", url = "http://db" })["output.url"])
    assert.is_true(warned({ tls = true, servers = { "tcp://a:1", "b:2" } })["output.tls"])
    assert.is_nil(warned({ tls = true, servers = { "tcp://a:1", "https://b:2" } })["output.tls"])
    local more = { name = "influxdb", url = "http://db", password = "/p" }
    assert.is_true(warned({ also = { more } })["output.also[1].url"])
  end)

  it("warns of plugins that run as root and of no registry", function()
    local _, warnings = config.validate({ agent = { pluginsuser = "root" } })
    assert.equal("agent.pluginsuser", warnings[1].key == "agent.registryaddr" and warnings[2].key or warnings[1].key)
    assert.equal(2, #warnings)
  end)

  it("leaves neither checker nor schema in memory", function()
    config.defaults()
    assert.is_nil(package.loaded["agent.config.schema"])
    assert.is_nil(package.loaded["agent.config.validate"])
  end)
end)
