local access = require("agent.http.access")
local loop = require("loop")
local program = require("program")

describe("who may", function()
  local folder, conf, rules

  before_each(function()
    folder = program.folder()
    conf = { group = "", post = "all", loopback = "all", tokenfile = "", hosts = {} }
    program.write(folder .. "/group", "root:x:0:\nops:x:444:alice,bob\n")
    rules = access.new(conf, { now = os.time, uid = 77, group_file = folder .. "/group" })
  end)

  after_each(function()
    program.remove(folder)
    loop.drain()
  end)

  local function load()
    local answer
    rules:load(function(why) answer = { why } end)
    loop.wait(function() return answer end, "the files")
    return answer[1]
  end

  local function reply(peer, groups)
    return { peer = function() return peer end, in_group = function(_, gid) return (groups or {})[gid] == true end }
  end

  local function status(right, peer, groups, headers)
    local request = { peer = peer and peer.uid and "unix" or "tcp", headers = headers or {} }
    local refusal = rules:check(request, reply(peer, groups), right)
    return refusal and refusal.status or 200
  end

  local function unix(right, uid, groups) return status(right, { uid = uid, gid = uid, pid = 1 }, groups) end

  it("on the unix socket: root, the agent's user and the group; reading and posting all", function()
    assert.same({ 200, 200, 403 }, { unix("change", 0), unix("change", 77), unix("change", 1000) })
    assert.same({ 200, 200 }, { unix("read", 1000), unix("post", 1000) })
    assert.equal(403, unix("change", 1000, { [444] = true }))
    conf.group = "ops"
    assert.is_nil(load())
    assert.equal(200, unix("change", 1000, { [444] = true }))
    assert.equal(403, unix("change", 1000, { [445] = true }))
    conf.post = "group"
    assert.same({ 403, 200, 200 }, { unix("post", 1000), unix("post", 1000, { [444] = true }), unix("post", 0) })
    conf.group = "445"
    assert.is_nil(load())
    assert.equal(200, unix("change", 1000, { [445] = true }))
  end)

  it("keeps the group in force when the new one is not there", function()
    conf.group = "ops"
    load()
    conf.group = "opps"
    assert.matches("^http%.group: there is no group opps", load())
    assert.equal(200, unix("change", 1000, { [444] = true }))
    conf.group = ""
    assert.is_nil(load())
    assert.equal(403, unix("change", 1000, { [444] = true }))
  end)

  it("on loopback as configured", function()
    local peer = { address = "127.0.0.1", loopback = true }
    local function all() return { status("read", peer), status("post", peer), status("change", peer) } end
    assert.same({ 200, 200, 200 }, all())
    conf.loopback = "read"
    assert.same({ 200, 403, 403 }, all())
    conf.loopback = "token"
    assert.same({ 200, 401, 401 }, all())
  end)

  it("from elsewhere with a token only; reading without", function()
    local peer = { address = "10.0.0.1", loopback = false }
    rules:tokens().tokens = { "0123456789abcdef" }
    assert.same({ 200, 401, 401 }, { status("read", peer), status("post", peer), status("change", peer) })
    assert.equal(200, status("change", peer, nil, { authorization = "Bearer 0123456789abcdef" }))
    assert.equal(401, status("change", peer, nil, { authorization = "Bearer 0123456789abcdeF" }))
    assert.equal(429, status("change", peer, nil, { authorization = "Bearer 0123456789abcdef" }))
  end)

  it("nobody whose origin can't be told may change", function()
    assert.equal(403, status("change", nil))
  end)

  it("asks browsers on TCP where the page is from, for reading too; the unix socket takes any Host", function()
    local peer = { address = "127.0.0.1", loopback = true }
    assert.equal(403, status("read", peer, nil, { host = "evil.example" }))
    conf.hosts = { "evil.example" }
    assert.equal(200, status("read", peer, nil, { host = "evil.example" }))
    assert.equal(403, status("change", peer, nil, { host = "localhost", ["sec-fetch-site"] = "cross-site" }))
    assert.equal(200, status("post", { uid = 5, gid = 5, pid = 5 }, nil, { host = "loda:1234" }))
  end)
end)
