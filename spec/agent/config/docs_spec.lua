describe("docs/config.md", function()
  it("is what the schema says: run `agent check --docs >docs/config.md` after a change", function()
    local file = assert(io.open("docs/config.md"))
    local text = file:read("*a")
    file:close()
    assert.equal(require("agent.config.docs").markdown(), text)
  end)

  it("has a row for every key", function()
    local text = require("agent.config.docs").markdown()
    for _, entry in ipairs(require("agent.config.schema")) do
      assert.truthy(text:find("\n| " .. entry.key .. " | ", 1, true), entry.key)
    end
  end)
end)
