describe("agent version", function()
  it("names what was built", function()
    local build = require("host").build
    assert.is_string(build.version)
    assert.is_string(build.commit)
  end)
end)
