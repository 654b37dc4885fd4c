-- Several outputs of the real agent at once: a file, a real nsqd behind TLS, and a scripted InfluxDB.
local certificates = require("certificates")
local cjson = require("cjson")
local gzip = require("gzip")
local loop = require("loop")
local nsqd = require("nsqd")
local peers = require("peer")
local program = require("program")

local NS = "web.shop.loda"
local missing = nsqd.missing()
local with_nsqd = missing and function(name)
  pending(name .. " (" .. missing .. ")", function() end)
end or it

describe("several outputs at once", function()
  local folder, agent, influx, server, lines, sick

  -- Keeps the lines it is sent, or answers 500 while it is sick.
  local function serve(c)
    while true do
      local head = c:read_until("\r\n\r\n")
      local body = c:read(tonumber(head:match("Content%-Length: (%d+)")))
      if head:find("Content-Encoding: gzip", 1, true) then body = gzip.unpack(body) end
      if not sick then
        for line in body:gmatch("[^\n]+") do lines[#lines + 1] = line end
      end
      c:write(sick and "HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n" or "HTTP/1.1 204 No Content\r\n\r\n")
    end
  end

  before_each(function()
    folder, lines, sick = program.folder(), {}, false
    certificates.make(folder)
    influx = peers.start(serve)
    server = nsqd.start({ "--tls-cert=" .. folder .. "/server.pem", "--tls-key=" .. folder .. "/server.key" })
  end)
  after_each(function()
    if agent then
      agent.kill("sigterm")
      agent.wait(20)
    end
    agent = nil
    influx:stop()
    nsqd.stop_all()
    loop.drain()
    program.remove(folder)
  end)

  local function start(required)
    local conf = program.configure(folder, { output = {
      name = "nsq", servers = { "tcp://localhost:" .. server.tcp_port }, tls = true, tlsca = folder .. "/ca.pem",
      compress = true, ack = 1, also = {
        { name = "influxdb", url = "http://127.0.0.1:" .. influx.port, required = required, ack = 1 },
        { name = "file", path = folder .. "/points", required = false },
      } } }, { [NS] = {} })
    agent = program.agent({ "start", "-f", conf })
    program.ready(folder, agent)
  end

  local function post(...)
    local metrics = {}
    for i, name in ipairs({ ... }) do metrics[i] = { name = name, value = 42 } end
    return select(2, program.curl(folder, "/post?ns=" .. NS, cjson.encode(metrics)))
  end

  local function line_of(name)
    for _, line in ipairs(lines) do
      if line:find("RUN." .. name .. ",", 1, true) then return line end
    end
  end

  local function in_file(name)
    return (program.read(folder .. "/points") or ""):find("RUN." .. name, 1, true)
  end

  local function in_nsqd(name)
    for _, message in ipairs(server:read("collect." .. NS, 1)) do
      if message:find("RUN." .. name, 1, true) then return true end
    end
  end

  local function outputs()
    return cjson.decode((program.curl(folder, "/me/status"))).outputs
  end

  with_nsqd("all get everything, each in its own form", function()
    start(true)
    assert.equal(200, post("everywhere"))
    program.wait("the line", 10, function() return line_of("everywhere") end)
    assert.matches("^RUN%.everywhere,host=[^ ]+ value=42 %d+$", line_of("everywhere"))
    program.wait("the file", 10, function() return in_file("everywhere") end)
    program.wait("nsqd's", 20, function() return in_nsqd("everywhere") end)
  end)

  with_nsqd("one that fails holds up neither the others nor, as best effort, an acknowledgement", function()
    sick = true
    start(false)
    assert.equal(200, post("first"))
    local many = {}
    for i = 1, 50 do many[i] = "many_" .. i end -- more bytes than are sent without gzip
    assert.equal(200, post(unpack(many)))
    program.wait("nsqd's", 20, function() return in_nsqd("first") end)
    program.wait("the file", 10, function() return in_file("first") end)
    local failing = outputs()[2]
    assert.is_false(failing.required)
    assert.equal("HTTP_500", failing.output.last_error.code)
    sick = false
    program.wait("the lines, kept until then", 40, function() return line_of("first") and line_of("many_50") end)
  end)

  with_nsqd("a required one that fails has its messages on disk before they are acknowledged", function()
    sick = true
    start(true)
    assert.equal(200, post("kept"))
    program.wait("the spool", 10, function()
      local spool = outputs()[2].spool
      return spool and spool.files > 0
    end)
    sick = false
    program.wait("the line", 40, function() return line_of("kept") end)
    program.wait("an empty spool", 20, function() return outputs()[2].spool.files == 0 end)
  end)
end)
