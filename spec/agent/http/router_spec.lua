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
      assert.matches("^404 page not found\n", reply.body)
      assert.equal("text/plain; charset=utf-8", reply.headers["Content-Type"])
    end
  end)

  it("answers 405 and names what is allowed", function()
    local r = router.new():route("GET", "/a", hello):route("POST", "/a", hello)
    local reply = ask(r, "DELETE", "/a")
    assert.equal(405, reply.status)
    assert.equal("GET, HEAD, POST", reply.headers.Allow)
    assert.equal("POST", ask(router.new():route("POST", "/b", hello), "GET", "/b").headers.Allow)
  end)

  it("gives HEAD to whoever takes GET", function()
    local r = router.new():route("GET", "/a", hello):route("GET HEAD POST", "/b", hello)
    assert.same({ 200, 200 }, { ask(r, "HEAD", "/a").status, ask(r, "HEAD", "/b").status })
  end)

  it("tells before and after a change that answers given before hold no more", function()
    local changes, late = 0, nil
    local access = { check = function(_, _, _, right) return nil, right ~= "read" and "me" or nil end }
    local function changing() changes = changes + 1 end
    local r = router.new({ access = access, audit = { note = function() end }, changing = changing })
      :route("GET", "/read", hello, "read"):route("GET", "/change", function(_, reply) late = reply end)
    ask(r, "GET", "/read")
    ask(r, "GET", "/nowhere")
    assert.equal(0, changes)
    ask(r, "GET", "/change")
    assert.equal(1, changes)
    late:send(200, {}, "done")
    assert.equal(2, changes)
  end)

  it("loads rare routes when one of them is asked for", function()
    local loaded, r = 0, router.new()
    local function load()
      loaded = loaded + 1
      r:route("GET", "/a", hello):route("GET", "/b", function(_, reply) return reply:send(200, {}, "b") end)
    end
    r:lazy("/a", load)
    r:lazy("/b", load)
    assert.equal(404, ask(r, "GET", "/c").status)
    assert.equal(0, loaded)
    assert.equal("hello", ask(r, "GET", "/a").body)
    assert.equal("b", ask(r, "GET", "/b").body)
    assert.equal(405, ask(r, "PUT", "/b").status)
    assert.equal(1, loaded)
  end)

  it("names endpoints near to a wrong path, below the contract's text", function()
    local r = router.new():route("GET", "/me/ns", hello):route("GET", "/me/status", hello):route("GET", "/post", hello)
    assert.equal("404 page not found\nnear: /me/status /me/ns\n", ask(r, "GET", "/me/statsu").body)
    assert.equal("404 page not found\nnear: /me/ns /me/status\n", ask(r, "GET", "/me/").body)
    assert.equal("404 page not found\nnear: /post\n", ask(r, "GET", "/post/").body)
    assert.equal("404 page not found\n", ask(r, "GET", "/" .. ("x"):rep(5000)).body)
    local json = ask(r, "GET", "/pots", { headers = { accept = "application/json" } }).body
    assert.equal('{"msg":"404 page not found","near":["/post"]}', json)
  end)

  it("asks whether the caller may, with the route's right, and records changes with their result", function()
    local asked, noted = {}, {}
    local access = { check = function(_, request, _, right)
      asked[#asked + 1] = right
      if request.query.no then return { status = 403, text = "no\n" }, "me" end
      return nil, right ~= "read" and "me" or nil
    end }
    local audit = { note = function(_, who, request, status, body)
      noted[#noted + 1] = table.concat({ who, request.path, status, body }, " ")
    end }
    local r = router.new({ access = access, audit = audit }):route("GET", "/r", hello, "read"):route("GET", "/c", hello)
      :route("POST", "/p", hello, "post")
    assert.equal("hello", ask(r, "GET", "/r").body)
    assert.equal("hello", ask(r, "GET", "/c").body)
    assert.equal("hello", ask(r, "POST", "/p").body)
    assert.equal(404, ask(r, "GET", "/none").status)
    assert.equal("no\n", ask(r, "GET", "/c", { query = { no = "1" } }).body)
    assert.same({ "read", "change", "post", "read", "change" }, asked)
    assert.same({ "me /c 200 hello", "me /p 200 hello", "me /c 403 no\n" }, noted)
  end)

  it("says the same in JSON to whoever accepts it", function()
    local reply = ask(router.new(), "GET", "/x", { headers = { accept = "text/html, Application/JSON;q=0.5" } })
    assert.equal(404, reply.status)
    assert.equal('{"msg":"404 page not found","near":[]}', reply.body)
    assert.equal("application/json; charset=utf-8", reply.headers["Content-Type"])
  end)
end)
