-- builtin/dns_check.lua against Debian's unbound and dnsmasq.

local command = require("builtin_command")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local UNBOUND, DNSMASQ = "/usr/sbin/unbound", "/usr/sbin/dnsmasq"
local ZONE = [[
  local-zone: "test." static
  local-data: "test. IN SOA ns.test. me.test. 5 1 2 3 4"
  local-data: "test. IN MX 10 mail.test."
  local-data: "www.test. 300 IN A 192.0.2.7"
  local-data: "www.test. 60 IN A 192.0.2.8"
  local-data: "www.test. IN AAAA 2001:db8::1:0:0:5"
  local-data: "alias.test. IN CNAME www.test."
  local-data: '_x._tcp.test. IN SRV 1 2 80 www.test.'
  local-data: 'txt.test. IN TXT "hello world" "again"'
]]

describe("builtin dns_check", function()
  local folder, server, port

  before_each(function()
    folder, port = program.folder(), loop.free_port()
  end)
  after_each(function()
    if server then
      server.kill()
      server.wait()
    end
    server = nil
    program.remove(folder)
  end)

  local function check(given)
    given.server, given.port = "127.0.0.1", port
    local values = {}
    local outcome = command.run("dns_check", given)
    assert(outcome.code == 0, outcome.output)
    for name, value in pairs(outcome.values) do values[name:match("^[%w.]+")] = value end
    return values, outcome.output
  end

  local function wait_for_server()
    program.wait("an answer of the server", 15, function()
      assert(not server.code, server.output)
      return check({ name = "www.test", timeout = 0.5 }).answered == 1
    end)
  end

  local function start_unbound(more)
    local text = { "server:", ("  interface: 127.0.0.1@%d"):format(port), '  username: ""', '  chroot: ""',
      ('  directory: "%s"'):format(folder), ('  pidfile: "%s/pid"'):format(folder), "  use-syslog: no", ZONE,
      more or "" }
    program.write(folder .. "/unbound.conf", table.concat(text, "\n") .. "\n")
    server = program.spawn(UNBOUND, { "-d", "-c", folder .. "/unbound.conf" })
    wait_for_server()
  end

  it("knows unbound's right answers from wrong ones, of each kind", function()
    if not uv.fs_stat(UNBOUND) then return pending("dns_check against unbound: it is not installed") end
    start_unbound()
    for _, given in ipairs({
      { name = "www.test", expect = { "192.0.2.8", "192.0.2.7" } }, { name = "WWW.test.", type = "aaaa",
        expect = "2001:DB8:0:0:1::5" }, { name = "test", type = "MX", expect = { "10 mail.test." } },
      { name = "txt.test", type = "TXT", expect = { "hello worldagain" } },
      { name = "_x._tcp.test", type = "SRV", expect = { "1 2 80 www.test" } },
      { name = "test", type = "SOA", expect = { "ns.test me.test 5" } },
      { name = "nothere.test", rcode = "NXDOMAIN" }, { name = "www.test", tcp = true, expect = "192.0.2.7" },
    }) do
      local values, said = check(given)
      assert.equal(1, values.ok, said)
      assert.is_true(values.seconds > 0 and values.seconds < 5)
    end
    local values, said = check({ name = "www.test", expect = "192.0.2.1" })
    assert.same({ 0, 1, 2, 60 }, { values.ok, values.answered, values.answers, values.ttl })
    assert.match("192.0.2.1 is not among the answers", said, 1, true)
    assert.same({ 0, 3 }, { check({ name = "nothere.test" }).ok, check({ name = "nothere.test" }).rcode })
    assert.equal(0, check({ name = "www.test", type = "MX" }).ok)
  end)

  it("asks again by TCP when the answer was truncated", function()
    if not uv.fs_stat(UNBOUND) then return pending("dns_check against unbound: it is not installed") end
    local big = {}
    for i = 1, 60 do big[i] = ("  local-data: 'big.test. IN TXT \"%s%d\"'"):format(("x"):rep(100), i) end
    start_unbound(table.concat(big, "\n"))
    local values = check({ name = "big.test", type = "TXT", expect = ("x"):rep(100) .. "60" })
    assert.same({ 1, 1, 60 }, { values.ok, values.truncated, values.answers })
  end)

  it("follows dnsmasq's aliases, and takes its refusal for an answer", function()
    if not uv.fs_stat(DNSMASQ) then return pending("dns_check against dnsmasq: dnsmasq-base is not installed") end
    server = program.spawn(DNSMASQ, { "-k", "-C", "/dev/null", "-R", "-h", "-u", "root", "-p", tostring(port), "-a",
      "127.0.0.1", "-z", "-A", "/www.test/192.0.2.7",
      "--cname=alias.test,www.test", "--host-record=www.test,192.0.2.7" })
    wait_for_server()
    assert.equal(1, check({ name = "alias.test", expect = "192.0.2.7" }).ok)
    local values = check({ name = "else.example" })
    assert.same({ 0, 1, 5 }, { values.ok, values.answered, values.rcode })
  end)

  it("says of a server that is gone that it does not answer", function()
    local values, said = check({ name = "www.test", timeout = 0.3, tries = 2 })
    assert.same({ 0, 0 }, { values.ok, values.answered })
    assert.match("www.test A at 127.0.0.1: ", said, 1, true)
  end)
end)
