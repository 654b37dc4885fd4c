local items = require("agent.registry.items")
local repository = require("agent.repository")

local function item(more)
  local all = { measurement_type = "PLUGIN", name = "PLUGIN.mysql", git = "git@git.example.org:ops/mysql.git",
    interval = "60" }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

local function refusal(more)
  local record, why = items.normalise(item(more))
  assert.is_nil(record)
  return why
end

describe("a PLUGIN item", function()
  it("names a repository, an interval and arguments", function()
    assert.same({ type = "PLUGIN", name = "PLUGIN.mysql", git = "git@git.example.org:ops/mysql.git",
      project = "ops/mysql", dir = "mysql", interval = 60, args = { "-s", "u:p@tcp(127.0.0.1:3306)/" } },
      items.normalise(item({ parameters = " -s  u:p@tcp(127.0.0.1:3306)/ " })))
  end)

  it("may be on call only, pin a ref, have a timeout and limits", function()
    local record = items.normalise(item({ interval = "0", ref = "v1.2", timeout = "30", memory = "1048576",
      cpu = "0.5" }))
    assert.equal(0, record.interval)
    assert.equal("v1.2", record.ref)
    assert.equal(30, record.timeout)
    assert.same({ memory = 1048576, cpu = 0.5 }, record.limits)
  end)

  it("takes URLs, whose last two parts name the project", function()
    for git, project in pairs({
      ["https://git.example.org/a/b/tool.git"] = "b/tool", ["ssh://git@host:2222/ops/tool"] = "ops/tool",
      ["file:///srv/git/ops/tool.git/"] = "ops/tool", ["git://host/tool.git"] = "tool", ["ops/tool"] = "ops/tool",
    }) do
      local record = items.normalise(item({ git = git }))
      assert.equal(project, record.project)
      assert.equal("tool", record.dir)
    end
  end)

  it("is refused with the reason", function()
    assert.matches("git is missing", refusal({ git = "" }))
    for _, git in ipairs({ "git@h:ops/..git", "git@h:ops/../.git", "git@h:ops/.hidden.git", "-oProxyCommand=x",
      "git@h:a/b c.git", "x:", "git@h:ops/-x.git", "https://host/", "git@h:.git" }) do
      assert.matches("^git", refusal({ git = git }))
    end
    for _, bad in ipairs({ "a;b", "a|b", "<x", ">x", "`x`", "a&&b", "a\nb" }) do
      assert.matches("^parameters", refusal({ parameters = bad }))
    end
    assert.truthy(items.normalise(item({ parameters = "a&b $x" })))
    for _, bad in ipairs({ "", "often", "1.5", "-1", "100000" }) do
      assert.matches("^interval", refusal({ interval = bad }))
    end
    assert.matches("^ref", refusal({ ref = "a..b" }))
    assert.matches("^ref", refusal({ ref = "--upload-pack=x" }))
    assert.matches("^timeout", refusal({ timeout = "0" }))
    assert.matches("^memory", refusal({ memory = "lots" }))
    assert.matches("name: only", refusal({ name = "a/b" }))
  end)

  it("is refused when one before has the project's name", function()
    local refused = {}
    local two = { item(), item({ name = "PLUGIN.other", git = "git@h:dba/mysql.git" }) }
    local records = items.of_namespace("a.loda", two, function(index, name, why)
      refused[#refused + 1] = { index, name, why }
    end)
    assert.equal(1, #records)
    assert.same({ { 2, "PLUGIN.other", "git: a plugin before, PLUGIN.mysql, has the same project name, mysql" } },
      refused)
  end)
end)

describe("the repo of a control call", function()
  it("has one colon, one slash and ends in .git", function()
    assert.equal("ops/mysql", repository.of_call("git@host:ops/mysql.git"))
    for _, bad in ipairs({ "", "ops/mysql", "git@h:mysql.git", "git@h:a/b/c.git", "https://h/a/b.git",
      "git@h:2/a:b.git", "git@h:a/b" }) do
      assert.is_nil(repository.of_call(bad))
    end
  end)
end)
