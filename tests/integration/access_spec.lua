-- Who may change things, with the real agent and real users.
local program = require("program")
local uv = require("luv")

local function run(path, ...)
  local child = program.spawn(path, { ... })
  child.wait(20)
  return child.output
end

-- A status by curl over the socket as another user; groups: "" or "--groups=N".
local function as(folder, uid, groups, target)
  return run("/usr/bin/setpriv", "--reuid=" .. uid, "--regid=" .. uid, groups, "/usr/bin/curl", "-s", "-m", "15",
    "--unix-socket", folder .. "/agent.sock", "-o", "/dev/null", "-w", "%{http_code}", "http://loda:1234" .. target)
end

describe("the agent's control API", function()
  local folder, agent

  before_each(function()
    folder = program.folder()
    uv.fs_chmod(folder, tonumber("755", 8))
  end)

  after_each(function()
    agent.kill()
    agent.wait(10)
    program.remove(folder)
  end)

  local function start(conf)
    agent = program.agent({ "start", "-f", program.configure(folder, conf) })
  end

  local function port()
    return program.wait("the address", 10, function() return agent.output:match("127%.0%.0%.1:(%d+)") end)
  end

  it("lets root and the group change, all users post and read, and writes down who did", function()
    if uv.getuid() ~= 0 then return pending("needs root, to become others") end
    start({ http = { group = "54321" } })
    program.ready(folder, agent)
    assert.equal("200", as(folder, 65534, "--clear-groups", "/me/ns"))
    assert.equal("403", as(folder, 65534, "--clear-groups", "/update"))
    assert.equal("403", as(folder, 65534, "--groups=54320,54322", "/update"))
    assert.equal("200", as(folder, 65534, "--groups=54320,54321", "/update"))
    assert.equal("200", as(folder, 54321, "--clear-groups", "/update"))
    assert.equal("200", as(folder, 0, "--clear-groups", "/update"))
    assert.equal("500", as(folder, 65534, "--clear-groups", "/post?ns=a.loda")) -- may, but there is no body
    for _, wanted in ipairs({ 'call=/update .*status=403 .*who="uid 65534 pid %d+"',
      'call=/update .*status=200 .*who="uid 0 pid %d+"', 'call=/post .*status=500 .*who="uid 65534' }) do
      program.wait(wanted, 10, function() return agent.output:find(wanted) end)
    end
    assert.is_nil(agent.output:find("call=/me/ns"))
  end)

  it("refuses pages of other sites on TCP alone", function()
    start({ http = { hosts = { "web07.example.org" } } })
    local url = "http://127.0.0.1:" .. port()
    local function status(...) return run("/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ...) end
    for header, wanted in pairs({ ["Host: evil.example"] = "403", ["Host: web07.example.org"] = "200",
      ["Host: localhost:80"] = "200", ["Origin: http://evil.example"] = "403", ["Origin: null"] = "403",
      ["Sec-Fetch-Site: cross-site"] = "403", ["Sec-Fetch-Site: none"] = "200" }) do
      assert.equal(wanted, status("-H", header, url .. "/update"), header)
      assert.equal(wanted, status("-H", header, url .. "/me/ns"), header)
    end
    assert.equal("200", status("--unix-socket", folder .. "/agent.sock", "-H", "Host: evil.example",
      "http://x/update"))
  end)

  it("takes a token where it needs one, a new one after a reload, and doesn't start without", function()
    start({ agent = { listen = "0.0.0.0:0" } })
    assert.equal(1, agent.wait(10))
    assert.matches("http%.tokenfile: must be set when agent%.listen is not on loopback", agent.output)
    program.write(folder .. "/tokens", "the-first-of-tokens\n")
    uv.fs_chmod(folder .. "/tokens", tonumber("644", 8))
    start({ http = { loopback = "token", tokenfile = folder .. "/tokens" } })
    assert.equal(1, agent.wait(10))
    assert.matches("http%.tokenfile: .*chmod 600", agent.output)
    uv.fs_chmod(folder .. "/tokens", tonumber("600", 8))
    start({ http = { loopback = "token", tokenfile = folder .. "/tokens" } })
    local url = "http://127.0.0.1:" .. port()
    local function update(token)
      return run("/usr/bin/curl", "-s", "-w", "%{http_code}", "-H", "Authorization: Bearer " .. token, url .. "/update")
    end
    assert.equal("collect items updated\n200", update("the-first-of-tokens"))
    assert.equal("the token is wrong\n401", update("the-second-of-tokens"))
    program.write(folder .. "/tokens", "the-second-of-tokens\n")
    agent.kill("sighup")
    program.wait("the second token", 20, function() return update("the-second-of-tokens"):find("200$") end)
    assert.matches("401", update("the-first-of-tokens"))
    assert.matches("200", run("/usr/bin/curl", "-s", "-w", "%{http_code}", url .. "/me/ns"))
    assert.is_nil(agent.output:find("of-tokens", 1, true)) -- no secret in the log
  end)
end)
