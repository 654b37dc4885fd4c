-- The real agent with output influxdb against a real InfluxDB 1.6 and a real VictoriaMetrics: what is posted is asked
-- for again and must be equal.

local cjson = require("cjson")
local get = require("http_get")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local INFLUXD, VICTORIA = "/usr/bin/influxd", "/usr/bin/victoria-metrics"
local NS = "web.shop.loda"
local AT = os.time() - 60

local influx_conf = [[
reporting-disabled = true
bind-address = "127.0.0.1:%d"
[meta]
  dir = "%s/meta"
[data]
  dir = "%s/data"
  wal-dir = "%s/wal"
[http]
  bind-address = "127.0.0.1:%d"
  auth-enabled = %s
[monitor]
  store-enabled = false
]]

local function escape(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- Values by name: what must come back for what was sent.
local values = {
  ["RUN.whole"] = 42, ["RUN.negative"] = -17, ["RUN.zero"] = 0, ["RUN.largest"] = 2 ^ 53, ["RUN.lowest"] = -2 ^ 53,
  ["RUN.fraction"] = 97.18, ["RUN.tiny"] = 1e-9, ["RUN.large"] = 1.5e300, ["RUN.third"] = 1 / 3,
}
local tagged = {
  ["RUN.plain"] = { where = "rack7" }, ["RUN.unicode"] = { where = "Zürich-東京-🚀" },
  ["RUN.commas"] = { where = "a,b,c", ["k=1"] = "x=y" }, ["RUN.quotes"] = { where = [[say-"it"-'so']] },
  ["RUN.inner"] = { where = [[C:\temp\file]] },
}
local escaped = { ["RUN.escaped"] = { where = [[a\,b\=c]] } } -- as the router would pass it on: it arrives as a,b=c
local texts = { ["RUN.text"] = "all is well", ["RUN.hard"] = [[say "hi", C:\ = é]], ["RUN.lines"] = "one\ntwo" }

local function metrics()
  local list = {}
  local function add(name, value, tags)
    list[#list + 1] = { name = name:sub(5), value = value, tags = tags, timestamp = AT }
  end
  for name, value in pairs(values) do add(name, value) end
  for name, tags in pairs(tagged) do add(name, 1, tags) end
  for name, tags in pairs(escaped) do add(name, 1, tags) end
  for name, text in pairs(texts) do add(name, text) end
  add("RUN.yes", true)
  add("RUN.no", false)
  add("RUN.numeric", "97.5")
  return require("agent.json").encode(list)
end

describe("output influxdb of the real agent", function()
  local folder, server, port, agent

  before_each(function()
    folder, port = program.folder(), loop.free_port()
  end)
  after_each(function()
    local function stop(child)
      if not child then return end
      child.kill("sigterm")
      child.wait(30)
    end
    stop(agent)
    stop(server)
    agent, server = nil, nil
    program.remove(folder)
  end)

  local function start_influxd(auth)
    program.write(folder .. "/influxdb.conf", influx_conf:format(loop.free_port(), folder, folder, folder, port,
      tostring(auth or false)))
    server = program.spawn(INFLUXD, { "-config", folder .. "/influxdb.conf" })
    program.wait("influxd", 30, function()
      assert(not server.code, server.output)
      return select(2, get(("http://127.0.0.1:%d/ping"):format(port))) == 204
    end)
  end

  local function start_agent(output)
    output.name, output.url = "influxdb", "http://127.0.0.1:" .. port
    agent = program.agent({ "start", "-f", program.configure(folder, { output = output }, { [NS] = {} }) })
    program.ready(folder, agent)
  end

  local function query(statement, more)
    local text, status = get(("http://127.0.0.1:%d/query?epoch=s&db=collect.%s&q=%s%s"):format(port, NS,
      escape(statement), more or ""))
    assert.equal(200, status, text)
    local series = cjson.decode(text).results[1].series
    return series and series[1]
  end

  -- The only row of a measurement as a map.
  local function row(name, more)
    local series = assert(query(('SELECT * FROM "%s"'):format(name), more), name)
    assert.equal(1, #series.values, name)
    local found = {}
    for i, column in ipairs(series.columns) do found[column] = series.values[1][i] end
    return found
  end

  local function expect_all(more)
    for name, value in pairs(values) do assert.equal(value, row(name, more).value, name) end
    for name, tags in pairs(tagged) do
      local found = row(name, more)
      for key, value in pairs(tags) do assert.equal(value, found[key], name) end
      assert.equal(AT, found.time)
    end
    assert.equal("a,b=c", row("RUN.escaped", more).where)
    for name, text in pairs(texts) do assert.equal(text, row(name, more).value, name) end
    assert.is_true(row("RUN.yes", more).value)
    assert.is_false(row("RUN.no", more).value)
    assert.equal(97.5, row("RUN.numeric", more).value)
    local kinds = query('SHOW FIELD KEYS FROM "RUN.whole"', more)
    assert.same({ "value", "float" }, kinds.values[1])
  end

  local function post()
    local text, status = program.curl(folder, "/post?ns=" .. NS, metrics())
    assert.equal(200, status, text)
  end

  local function status()
    return cjson.decode((program.curl(folder, "/me/status"))).output
  end

  it("writes to InfluxDB 1.6 what it reads back equal, into a database that it makes", function()
    if not uv.fs_stat(INFLUXD) then return pending("InfluxDB 1.6: influxdb is not installed") end
    start_influxd()
    start_agent({})
    post()
    expect_all()
    program.wait("the system metrics", 30, function() return query('SELECT * FROM "cpu.idle"') end)
  end)

  it("counts the points that InfluxDB refuses, and keeps the others", function()
    if not uv.fs_stat(INFLUXD) then return pending("InfluxDB 1.6: influxdb is not installed") end
    start_influxd()
    start_agent({})
    local function send(text) assert.equal(200, select(2, program.curl(folder, "/post?ns=" .. NS, text))) end
    send('[{"name":"kind","value":1}]')
    send('[{"name":"kind","value":"text","timestamp":' .. AT .. '},{"name":"fine","value":2},'
      .. '{"name":"path","value":3,"tags":{"dir":"C:\\\\"}}]')
    assert.equal(2, row("RUN.fine").value)
    assert.equal(1, row("RUN.kind").value)
    assert.is_nil(query('SELECT * FROM "RUN.path"'))
    assert.same({ type_conflict = 1, backslash = 1 }, status().dropped_points)
    assert.matches("points refused", agent.output)
  end)

  for _, auth in ipairs({ "basic", "query" }) do
    it("proves who it is to InfluxDB 1.6 by " .. auth .. ", and keeps everything while it may not", function()
      if not uv.fs_stat(INFLUXD) then return pending("InfluxDB 1.6: influxdb is not installed") end
      start_influxd(true)
      local login = "&u=web&p=s3cret"
      local made = get(("http://127.0.0.1:%d/query"):format(port),
        "q=" .. escape("CREATE USER web WITH PASSWORD 's3cret' WITH ALL PRIVILEGES"))
      assert.is_nil(made:find("error", 1, true), made)
      program.write(folder .. "/password", "wrong\n")
      start_agent({ user = "web", password = folder .. "/password", auth = auth, ack = 1, spoolsize = 0 })
      assert.equal(503, select(2, program.curl(folder, "/post?ns=" .. NS, metrics())))
      assert.equal("HTTP_401", status().last_error.code)
      program.write(folder .. "/password", "s3cret\n")
      program.wait("the points", 60, function() return query('SELECT * FROM "RUN.whole"', login) end)
      expect_all(login)
    end)
  end

  local dialects = { ["1.x"] = {}, ["2.x"] = { org = "ops", token = true } }
  for dialect, output in pairs(dialects) do
    it("writes to VictoriaMetrics in the API of " .. dialect .. " what it reads back equal", function()
      if not uv.fs_stat(VICTORIA) then return pending("VictoriaMetrics: victoria-metrics is not installed") end
      server = program.spawn(VICTORIA, { "-httpListenAddr=127.0.0.1:" .. port, "-storageDataPath=" .. folder .. "/vm",
        "-loggerLevel=ERROR" })
      program.wait("victoria-metrics", 30, function()
        assert(not server.code, server.output)
        return select(2, get(("http://127.0.0.1:%d/health"):format(port))) == 200
      end)
      if output.token then
        program.write(folder .. "/token", "s3cret\n")
        output.token = folder .. "/token"
      end
      start_agent(output)
      post()
      local function export(name)
        local text = get(("http://127.0.0.1:%d/api/v1/export?match[]=%s"):format(port,
          escape(('{__name__="%s_value"}'):format(name))):gsub("%[%]", "%%5B%%5D"))
        return text ~= "" and cjson.decode((text:match("^[^\n]+"))) or nil
      end
      get(("http://127.0.0.1:%d/internal/force_flush"):format(port))
      for name, value in pairs(values) do
        local found = program.wait(name, 30, function() return export(name) end)
        assert.is_true(math.abs(found.values[1] - value) <= math.abs(value) * 1e-12, name .. " " .. found.values[1])
        assert.equal(AT * 1000, found.timestamps[1])
      end
      assert.equal(2 ^ 53, export("RUN.largest").values[1])
      for name, tags in pairs(tagged) do
        local found = export(name)
        for key, value in pairs(tags) do assert.equal(value, found.metric[key], name) end
        assert.equal(dialect == "1.x" and "collect." .. NS or nil, found.metric.db) -- it has no buckets
      end
      assert.equal("a,b=c", export("RUN.escaped").metric.where)
      assert.equal(97.5, export("RUN.numeric").values[1])
    end)
  end
end)
