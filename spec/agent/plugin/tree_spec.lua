local places = require("agent.plugin.places")
local tree = require("agent.plugin.tree")

local FILE, PROGRAM, LINK, DIRECTORY, MODULE = 0x81a4, 0x81ed, 0xa000, 0x4000, 0xe000

local function check(list)
  local entries = {}
  for i, one in ipairs(list) do
    entries[i] = { path = one[1], mode = one[2], size = one[3] and #one[3] or 1, target = one[3] }
  end
  return tree.check(entries, function(entry) return entry.target end)
end

describe("a tree", function()
  it("may hold files, directories, submodules' places and links that stay inside", function()
    assert.is_true(check({ { "plugin.sh", PROGRAM }, { "lib", DIRECTORY }, { "lib/a", FILE },
      { "lib/b", LINK, "../plugin.sh" }, { "lib/c", LINK, "./a" },
      { "lib/..d", FILE }, { "m", MODULE }, { "root", LINK, "." } }))
  end)

  it("is refused for a name that would lead elsewhere or be written twice", function()
    for _, list in ipairs({ { { "..", DIRECTORY } }, { { ".", DIRECTORY } }, { { ".git", DIRECTORY } },
      { { ".GIT", FILE } },
      { { "a", FILE }, { "a", FILE } }, { { "a", LINK, "b" }, { "a", DIRECTORY } }, { { "a/b", FILE } },
      { { "a", LINK, "b" }, { "a/b", FILE } }, { { "a", DIRECTORY }, { "a/", FILE } }, { { "", FILE } } }) do
      local ok, why, code = check(list)
      assert.is_nil(ok)
      assert.is_string(why)
      assert.equal("bad_tree", code)
    end
  end)

  it("is refused for what git has no name for", function()
    for _, mode in ipairs({ 0x1000, 0x2000, 0x6000, 0xc000, 0 }) do
      assert.matches("neither file", (select(2, check({ { "a", mode } }))))
    end
  end)

  it("is refused for a link out of it, also by way of another link", function()
    for _, target in ipairs({ "", "/", "/etc", "..", "../x", "a/../x", "a/../../x", "./../x", ".git/config", "a\0b",
      ("x"):rep(4097) }) do
      assert.is_nil((check({ { "link", LINK, target } })), target)
    end
    assert.is_nil((check({ { "d", DIRECTORY }, { "d/link", LINK, "../../x" } })))
    assert.is_true((check({ { "d", DIRECTORY }, { "d/link", LINK, "../x" } })))
  end)
end)

describe("the place of a tree", function()
  local place = places.of("/plugins", "web.loda", "mysql")
  local commit = ("1a"):rep(20)

  it("says which commit of which project and ref it is", function()
    local name = places.name(commit, "ops/mysql", nil, "5_1")
    local found = places.read(place, "../.trees/web.loda/mysql/" .. name, "ops/mysql", nil)
    assert.same({ name = name, commit = commit, same_project = true, same_ref = true }, found)
    assert.is_false(places.read(place, place.target .. name, "dev/mysql", nil).same_project)
    assert.is_false(places.read(place, place.target .. name, "ops/mysql", "v1").same_ref)
  end)

  it("is not read out of a link that somebody else made", function()
    for _, target in ipairs({ "/etc", "../.trees/web.loda/other/" .. places.name(commit, "a", nil, "1"), place.target,
      place.target .. "../x", place.target .. commit, place.target .. places.name(commit, "a", nil, "../1") }) do
      assert.is_nil(places.read(place, target, "ops/mysql", nil))
    end
  end)
end)
