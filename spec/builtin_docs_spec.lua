-- Every builtin function that comes with the agent is described, with the parameters that it has.

local shipped = require("shipped")

local function names()
  local found = {}
  for name in require("luv").fs_scandir_next, require("luv").fs_scandir("builtin") do
    found[#found + 1] = name:match("^(.*)%.lua$")
  end
  table.sort(found)
  return found
end

describe("docs/builtins-shipped.md", function()
  for _, name in ipairs(names()) do
    it("has the parameters of " .. name, function()
      local definition, rows = shipped.load(name), shipped.documented(name)
      assert.is_string(definition.description)
      for param, schema in pairs(definition.params or {}) do
        assert.is_true(rows.params[param], param .. " has no row")
        assert.is_string(schema.description, param)
      end
      for param in pairs(rows.params) do
        assert.is_table((definition.params or {})[param], param .. " is documented, and is no parameter")
      end
      assert.is_nil(require("agent.worker.builtin.params").unfit(definition.params or {}))
    end)
  end
end)
