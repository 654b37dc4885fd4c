local identity = require("agent.registry.identity")
local uv = require("luv")

local folder

local function file(name)
  local f = io.open(folder .. "/plugins/" .. name, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

local function put(name, text)
  local f = assert(io.open(folder .. "/plugins/" .. name, "wb"))
  f:write(text)
  f:close()
end

local function eth(ip, more)
  local one = { name = "eth0", ip = ip, index = 2, up = true, loopback = false }
  for key, value in pairs(more or {}) do one[key] = value end
  return one
end

local function read(hostname, ips)
  local list = {}
  for i, ip in ipairs(ips or { "10.1.2.3" }) do list[i] = eth(ip) end
  return identity.read({ pluginsdir = folder .. "/plugins", sysfs = folder .. "/sys", ifaceprefix = { "eth" },
    hostname = hostname, addresses = list })
end

describe("the identity of a machine", function()
  before_each(function()
    folder = assert(uv.fs_mkdtemp("/tmp/agent-identity-XXXXXX"))
    os.execute(("mkdir -p %s/sys/class/dmi/id"):format(folder))
  end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  describe("has addresses", function()
    it("in the kernel's order of interfaces, then of addresses", function()
      local list = { eth("10.0.0.9", { name = "eth1", index = 7 }), eth("10.0.0.1"),
        eth("10.0.0.2", { name = "eth0:1" }),
        eth("2001:db8::9", { name = "eth1", index = 7 }), eth("2001:db8::7") }
      assert.same({ "10.0.0.1", "10.0.0.2", "2001:db8::7", "10.0.0.9", "2001:db8::9" },
        identity.addresses(list, { "eth" }))
    end)

    it("of interfaces that are up, no loopback, and named; none where no prefix is given", function()
      local list = { eth("10.0.0.1", { up = false }), eth("10.0.0.2", { loopback = true }),
        eth("10.0.0.3", { name = "docker0" }), eth("10.0.0.4", { name = "bond0" }), eth("10.0.0.5") }
      assert.same({ "10.0.0.4", "10.0.0.5" }, identity.addresses(list, { "eth", "bond" }))
      assert.same({}, identity.addresses(list, {}))
    end)

    it("without those that only mean something here", function()
      local list = {}
      for i, ip in ipairs({ "127.0.0.5", "::1", "169.254.3.4", "fe80::1", "febf::1", "169.253.1.1", "fec0::1",
        "fe08::1" }) do
        list[i] = eth(ip)
      end
      assert.same({ "169.253.1.1", "fec0::1", "fe08::1" }, identity.addresses(list, { "eth" }))
    end)

    it("as the kernel lists them", function()
      local found
      for _, one in ipairs(assert(require("host.addresses").list())) do
        assert.is_true(one.index > 0)
        if one.name == "lo" and one.ip == "127.0.0.1" then found = one end
      end
      assert.is_true(found.loopback)
    end)
  end)

  it("has the serial number without spaces, but with its newline, which the registry compares", function()
    assert.equal("", identity.serial(folder .. "/sys"))
    local f = assert(io.open(folder .. "/sys/class/dmi/id/product_serial", "w"))
    f:write(" 7CX 1234 \n")
    f:close()
    assert.equal("7CX1234\n", (identity.serial(folder .. "/sys")))
  end)

  it("is remembered on the first run, which changes nothing", function()
    local who = read("web07", { "10.1.2.3", "2001:db8::7" })
    assert.equal("web07", file(".hostname"))
    assert.equal("10.1.2.3,2001:db8::7", file(".ip"))
    assert.is_false(who.changed)
    assert.is_nil(who.old_ips)
    assert.equal("web07", who.old_hostname)
    assert.equal(tonumber("644", 8), uv.fs_stat(folder .. "/plugins/.ip").mode % 512)
  end)

  it("is compared exactly, and rewritten only when it was reported", function()
    read("web07")
    put(".hostname", "web07\n")
    local who = read("web07", { "10.9.9.9" })
    assert.is_true(who.renamed and who.moved and who.changed)
    assert.same({ "web07\n", { "10.1.2.3" } }, { who.old_hostname, who.old_ips })
    assert.equal("10.1.2.3", file(".ip"))
    identity.remember(who, folder .. "/plugins")
    assert.same({ "web07", "10.9.9.9" }, { file(".hostname"), file(".ip") })
    assert.is_false(read("web07", { "10.9.9.9" }).changed)
  end)

  it("does not forget its addresses for having none just now", function()
    read("web07")
    local who = read("web07", {})
    assert.is_true(who.changed)
    identity.remember(who, folder .. "/plugins")
    assert.equal("10.1.2.3", file(".ip"))
  end)

  it("takes a blank name for a first run, and an empty list for a list", function()
    read("web07")
    put(".hostname", "\n ")
    put(".ip", "")
    local who = read("web07", {})
    assert.is_false(who.changed)
    assert.equal("web07", file(".hostname"))
    assert.same({ "" }, who.old_ips)
  end)

  it("counts as unchanged where nothing can be read or written, and leaves no half-written file", function()
    os.execute(("mkdir -p %s/plugins/.hostname %s/plugins/.ip"):format(folder, folder))
    local who = read("web07")
    assert.is_false(who.changed)
    put("other", "")
    for name in uv.fs_scandir_next, assert(uv.fs_scandir(folder .. "/plugins")) do
      assert.is_true(name == ".hostname" or name == ".ip" or name == "other", name)
    end
  end)
end)
