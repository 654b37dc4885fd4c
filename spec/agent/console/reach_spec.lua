local reach = require("agent.console.reach")

local function address(socket, listen)
  return reach.address_of({ agent = { socket = socket, listen = listen } })
end

describe("where the agent is", function()
  it("is its socket, or what it listens on", function()
    assert.same({ path = "/run/a.sock" }, address("/run/a.sock", "127.0.0.1:1232"))
    assert.same({ ip = "127.0.0.1", port = 1232 }, address("", "127.0.0.1:1232"))
    assert.same({ ip = "127.0.0.1", port = 1232 }, address("", ":1232"))
    assert.same({ ip = "::1", port = 1232 }, address("", "[::]:1232"))
    assert.is_nil(address("", "127.0.0.1:0"))
    assert.is_nil(address("", ""))
  end)

  it("is told in one clean line with what to do", function()
    for _, code in ipairs({ "ENOENT", "ECONNREFUSED", "EACCES", "EPERM", "ETIMEDOUT", "EPROTO", "EXYZ" }) do
      local said = reach.explain({ path = "/run/\27[2Ja" }, { code = code, message = "why" })
      assert.is_nil(said:find("%c"), code)
      assert.is_truthy(said:find("/run/", 1, true), code)
    end
  end)
end)

describe("an answer that wasn't hoped for", function()
  it("is told with its message and status", function()
    assert.equal("no (status 403)", reach.complaint({ status = 403, body = '{"msg":"no\\n"}' }))
    assert.equal("plain text (status 500)", reach.complaint({ status = 500, body = "plain text\r\nmore" }))
    assert.equal("nothing more (status 500)", reach.complaint({ status = 500, body = "" }))
    assert.is_nil(reach.complaint({ status = 500, body = "\27[2J" }):find("\27", 1, true))
    assert.is_truthy(reach.complaint({ status = 404, body = "" }):find("another version", 1, true))
  end)
end)
