local ask = require("http_fakes").ask
local new_router = require("agent.http.router").new

local function with(deps)
  local router = new_router()
  require("agent.http.me").register(router, "GET", deps)
  require("agent.http.update").register(router, "GET", deps)
  return router
end

describe("/me", function()
  it("lists the namespaces as JSON, [] without any", function()
    local names = {}
    local router = with({ namespaces = function() return names end })
    assert.equal("[]", ask(router, "GET", "/me/ns").body)
    names = { "web.shop.loda", "db.shop.loda" }
    local reply = ask(router, "GET", "/me/ns")
    assert.equal('["web.shop.loda","db.shop.loda"]', reply.body)
    assert.equal("application/json; charset=utf-8", reply.headers["Content-Type"])
  end)

  it("shows the status with its version and its namespaces", function()
    local status = { version = "1.2", pid = 7 }
    local router = with({ namespaces = function() return {} end, status = function() return status end })
    assert.equal('{"namespaces":[],"pid":7,"version":"1.2"}', ask(router, "GET", "/me/status").body)
    assert.is_nil(status.namespaces)
  end)

  it("shows the traffic of the last collection, null before there is one", function()
    local metrics
    local router = with({ traffic = function() return metrics end })
    assert.equal("null", ask(router, "GET", "/me/traffic").body)
    metrics = { { name = "net.in", value = 8, tags = { interface = "eth0" }, timestamp = 1714557600 } }
    assert.equal('[{"name":"net.in","tags":{"interface":"eth0"},"timestamp":0,"value":8}]',
      ask(router, "GET", "/me/traffic").body)
  end)
end)

describe("/update", function()
  it("answers when the update is through", function()
    local finish
    local router = with({ update = function(callback) finish = callback end })
    local reply = ask(router, "GET", "/update")
    assert.equal(0, reply.sent)
    finish()
    assert.same({ 1, 200, "collect items updated\n" }, { reply.sent, reply.status, reply.body })
  end)

  it("answers the same text when the registry failed, as it always did", function()
    local router = with({ update = function(callback) callback({ code = "x", message = "registry: timeout" }) end })
    local reply = ask(router, "GET", "/update")
    assert.same({ 200, "collect items updated\n" }, { reply.status, reply.body })
  end)

  it("answers JSON with what changed, or with 502 and the reason", function()
    local err
    local router = with({ update = function(callback)
      callback(err, not err and { added = { "a.loda PORT x" }, refused = { { ns = "a.loda", reason = "r" } } } or nil)
    end })
    local function ask_json() return ask(router, "GET", "/update", { headers = { accept = "application/json" } }) end
    local reply = ask_json()
    assert.equal(200, reply.status)
    assert.equal('{"added":["a.loda PORT x"],"applied":[],"changed":[],"errors":[],'
      .. '"refused":[{"ns":"a.loda","reason":"r"}],"removed":[],"restart":[]}', reply.body)
    err = { code = "timeout", message = "registry: timeout" }
    reply = ask_json()
    assert.equal(502, reply.status)
    assert.matches('"error":"registry: timeout"', reply.body)
  end)
end)
