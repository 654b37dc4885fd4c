local ask = require("http_fakes").ask
local router = require("agent.http.router")

local function hello(_, reply) return reply:send(200, {}, "hello") end

describe("the router", function()
  it("finds a handler by exact path and method", function()
    local r = router.new():route("GET POST", "/a", hello)
    assert.equal("hello", ask(r, "GET", "/a").body)
    assert.equal("hello", ask(r, "POST", "/a").body)
  end)

  it("answers 404 with the contract's text for any other path", function()
    local r = router.new():route("GET", "/a", hello)
    for _, path in ipairs({ "/", "/a/", "/A", "//a", "/a/../a", "/b", "*" }) do
      local reply = ask(r, "GET", path)
      assert.equal(404, reply.status, path)
      assert.equal("404 page not found\n", reply.body)
      assert.equal("text/plain; charset=utf-8", reply.headers["Content-Type"])
    end
  end)

  it("answers 405 and names what is allowed", function()
    local r = router.new():route("GET", "/a", hello):route("POST", "/a", hello)
    local reply = ask(r, "DELETE", "/a")
    assert.equal(405, reply.status)
    assert.equal("GET, POST", reply.headers.Allow)
  end)

  it("says the same in JSON to whoever accepts it", function()
    local reply = ask(router.new(), "GET", "/x", { headers = { accept = "text/html, Application/JSON;q=0.5" } })
    assert.equal(404, reply.status)
    assert.equal('{"msg":"404 page not found"}', reply.body)
    assert.equal("application/json; charset=utf-8", reply.headers["Content-Type"])
  end)
end)
