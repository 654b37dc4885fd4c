local certificates = require("certificates")
local loop = require("loop")
local program = require("program")
local registry = require("registry_server")
local uv = require("luv")
local wait = require("wait")

local A = "a.shop.loda"
local CPU = { name = "cpu.idle", measurement_type = "CPU", interval = "10" }

local folder, server

local function answers(port)
  local tcp, answer = uv.new_tcp(), nil
  tcp:connect("127.0.0.1", port, function(err) answer = err or "yes" end)
  loop.wait(function() return answer end, "connect")
  tcp:close()
  return answer == "yes"
end

local function start(certificate, more)
  local port = loop.free_port()
  local args = { "-cert", folder .. "/" .. certificate .. ".pem", "-key", folder .. "/" .. certificate .. ".key" }
  for _, one in ipairs(more or {}) do args[#args + 1] = one end
  server = registry.start_tls({ [A] = { CPU } }, port, args)
  loop.wait(function() return answers(port) end, "openssl s_server")
end

local function fetch(conf)
  local all = { registryaddr = server.address, ifaceprefix = {}, pluginsdir = folder, sysfs = folder, registryca = "",
    registrycert = "", registrykey = "" }
  for key, value in pairs(conf) do all[key] = folder .. "/" .. value end
  local source = require("agent.registry.http").new(all, { run = require("agent.worker.client").run,
    hostname = function() return "web07" end })
  local err, answer
  source:fetch(function(e, a) err, answer = e, a end)
  wait.until_true(function() return err or answer end, 20000)
  return answer, err
end

describe("a registry behind TLS", function()
  setup(function()
    folder = program.folder()
    certificates.make(folder)
  end)
  teardown(function() program.remove(folder) end)
  after_each(function() server:close() end)

  it("is trusted by the configured authority", function()
    start("server")
    local answer, err = fetch({ registryca = "ca.pem" })
    assert.is_nil(err and err.message)
    assert.same({ CPU }, answer.namespaces[A].items)
  end)

  it("is not trusted by the system's, by another authority or under another name", function()
    start("server")
    for _, conf in ipairs({ {}, { registryca = "stranger.pem" }, { registryca = "none.pem" } }) do
      local _, err = fetch(conf)
      assert.equal("tls", err.code)
      assert.matches("^POST https://localhost:%d+/api/v1/agent/ns: ", err.message)
    end
    server:close()
    start("other")
    local _, err = fetch({ registryca = "ca.pem" })
    assert.equal("tls", err.code)
    assert.matches("localhost", err.message)
    assert.equal(0, #server.requests)
  end)

  it("is shown the client's certificate", function()
    start("server", { "-CAfile", folder .. "/ca.pem", "-Verify", "1", "-verify_return_error", "-tls1_2" })
    local _, err = fetch({ registryca = "ca.pem" })
    assert.is_table(err)
    assert.equal(0, #server.requests)
    local answer
    answer, err = fetch({ registryca = "ca.pem", registrycert = "client.pem", registrykey = "client.key" })
    assert.is_nil(err and err.message)
    assert.same({ CPU }, answer.namespaces[A].items)
  end)
end)
