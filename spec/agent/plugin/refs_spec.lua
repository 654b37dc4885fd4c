local refs = require("agent.plugin.refs")

local A, B, C = ("a"):rep(40), ("b"):rep(40), ("c"):rep(40)

describe("the ref that a plugin runs from", function()
  local remote = {
    { name = "HEAD", id = A, target = "refs/heads/main" }, { name = "refs/heads/main", id = A },
    { name = "refs/heads/release", id = B }, { name = "refs/tags/v1", id = C }, { name = "refs/tags/v1^{}", id = A },
    { name = "refs/heads/abcdef1", id = C },
  }

  it("is branch release, else HEAD, by its name where that is known", function()
    assert.same({ id = B, specs = { "+refs/heads/release:refs/agent/wanted" }, find = "refs/agent/wanted",
      shallow = true }, refs.choose(remote))
    assert.equal("+refs/heads/main:refs/agent/wanted", refs.choose({ remote[1], remote[2] }).specs[1])
    assert.equal("+HEAD:refs/agent/wanted", refs.choose({ { name = "HEAD", id = A } }).specs[1])
    assert.equal("+HEAD:refs/agent/wanted", refs.choose({ { name = "HEAD", id = A, target = "refs/heads/x*" },
      { name = "refs/heads/x*", id = A } }).specs[1])
  end)

  it("is the branch before the tag before the commit", function()
    assert.equal(B, refs.choose(remote, "release").id)
    assert.equal(A, refs.choose(remote, "v1").id)
    assert.equal(C, refs.choose(remote, "abcdef1").id)
    assert.same({ id = nil, find = "abcdef2", shallow = false,
      specs = { "+refs/heads/*:refs/agent/heads/*", "+refs/tags/*:refs/agent/tags/*" } },
      refs.choose(remote, "ABCDEF2"))
    assert.equal(A, refs.choose(remote, A).id)
  end)

  it("that isn't there is told", function()
    assert.equal("not_found", (select(3, refs.choose(remote, "nowhere"))))
    assert.equal("not_found", (select(3, refs.choose(remote, "abc"))))
    assert.equal("not_found", (select(3, refs.choose({ remote[2] }))))
    assert.equal("empty", (select(3, refs.choose({}))))
  end)
end)
