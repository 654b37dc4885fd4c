-- The control API over TLS.
local program = require("program")
local uv = require("luv")

local function run(path, ...)
  local child = program.spawn(path, { ... })
  child.wait(30)
  return child.output, child.code
end

describe("the control API over TLS", function()
  local folder, agent, url

  local function certificate(name)
    local _, code = run("/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes", "-days", "2", "-subj", "/CN=" .. name, "-addext", "subjectAltName=IP:127.0.0.1",
      "-keyout", folder .. "/" .. name .. ".key", "-out", folder .. "/" .. name .. ".pem")
    assert.equal(0, code)
  end

  local function curl(ca, ...)
    return run("/usr/bin/curl", "-s", "-S", "-m", "20", "--cacert", folder .. "/" .. ca .. ".pem", ...)
  end

  before_each(function()
    folder = program.folder()
    certificate("one")
  end)

  after_each(function()
    agent.kill("sigkill")
    agent.wait(10)
    program.remove(folder)
  end)

  local function start(http)
    agent = program.agent({ "start", "-f", program.configure(folder, { http = http }) })
    url = "https://127.0.0.1:" .. program.wait("the address", 10, function()
      assert(not agent.code, agent.output)
      return agent.output:match("127%.0%.0%.1:(%d+)")
    end)
  end

  it("is the same as without", function()
    start({ tlscert = folder .. "/one.pem", tlskey = folder .. "/one.key" })
    assert.equal('["test.loda"]', (curl("one", url .. "/me/ns")))
    local both = curl("one", url .. "/me/ns", url .. "/nowhere")
    assert.matches('^%["test.loda"%]404 page not found\n', both)
    program.write(folder .. "/body", "[" .. ('{"name":"a","value":1},'):rep(60000) .. '{"name":"a","value":1}]')
    for _, form in ipairs({ "X: y", "Transfer-Encoding: chunked", "Expect: 100-continue" }) do
      assert.equal("send data to MQ success\n", (curl("one", "-H", form, "--data-binary", "@" .. folder .. "/body",
        url .. "/post?ns=test.loda")))
    end
    assert.matches("agent_build_info", (curl("one", url .. "/metrics")))
    local tail = program.spawn("/usr/bin/curl", { "-s", "-N", "-m", "25", "-k", url .. "/tail?name=RUN.live" })
    program.wait("the point", 20, function()
      curl("one", "-d", '[{"name":"live","value":1}]', url .. "/post?ns=test.loda")
      return tail.stdout:find('"measurement":"RUN.live"', 1, true)
    end)
    tail.kill()
    tail.wait(10)
    assert.matches("400 Bad Request", (curl("one", "-i", "-H", "A: \1", url .. "/me/ns")))
    assert.equal('["test.loda"]', (program.curl(folder, "/me/ns"))) -- the socket has none
  end)

  it("says nothing in the clear, and survives who speaks something else", function()
    start({ tlscert = folder .. "/one.pem", tlskey = folder .. "/one.key" })
    local output, code = run("/usr/bin/curl", "-s", "-m", "20", (url:gsub("https", "http")) .. "/me/ns")
    assert.is_true(code ~= 0 and not output:find("test.loda"))
    output, code = run("/usr/bin/curl", "-s", "-m", "20", url .. "/me/ns") -- an authority it doesn't know
    assert.is_true(code ~= 0 and not output:find("test.loda"))
    assert.equal('["test.loda"]', (curl("one", url .. "/me/ns")))
  end)

  it("wants a certificate of its clients where authorities are given", function()
    start({ tlscert = folder .. "/one.pem", tlskey = folder .. "/one.key", tlsca = folder .. "/one.pem" })
    local output, code = curl("one", url .. "/me/ns")
    assert.is_true(code ~= 0 and not output:find("test.loda"))
    assert.equal('["test.loda"]', (curl("one", "--cert", folder .. "/one.pem", "--key", folder .. "/one.key",
      url .. "/me/ns")))
  end)

  it("takes a renewed certificate with a reload, and doesn't start with a bad one", function()
    start({ tlscert = folder .. "/one.pem", tlskey = folder .. "/one.key" })
    certificate("two")
    uv.fs_rename(folder .. "/two.pem", folder .. "/one.pem.new")
    os.execute(("cd %s && cp one.pem.new two.pem && mv one.pem.new one.pem && mv two.key one.key"):format(folder))
    agent.kill("sighup")
    program.wait("the new certificate", 20, function() return curl("two", url .. "/me/ns") == '["test.loda"]' end)
    program.write(folder .. "/bad.pem", "no certificate")
    local other = program.folder()
    local path = program.configure(other, { http = { tlscert = folder .. "/bad.pem" } })
    local bad = program.agent({ "start", "-f", path })
    assert.equal(1, bad.wait(10))
    assert.matches("http%.tlscert: ", bad.output)
    program.remove(other)
  end)
end)
