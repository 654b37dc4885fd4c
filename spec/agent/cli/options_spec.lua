local options = require("agent.cli.options")

local once = { usage = "agent once [-f CONF] [--json] [GROUP…]" }
local help = { usage = "agent help [COMMAND]" }

local function refused(command, args)
  local said = {}
  local stderr = io.stderr
  io.stderr = { write = function(_, ...) said[#said + 1] = table.concat({ ... }) end } -- luacheck: ignore
  local parsed, code = options.parse(command, args)
  io.stderr = stderr -- luacheck: ignore
  assert.is_nil(parsed)
  assert.equal(64, code)
  return table.concat(said)
end

describe("a command's options", function()
  it("have one dash or two, and values behind a space or a sign", function()
    for _, args in ipairs({ { "-f", "x.lua" }, { "--f", "x.lua" }, { "-f=x.lua" }, { "--f=x.lua" } }) do
      assert.equal("x.lua", options.parse(once, args).f)
    end
    assert.is_true(options.parse(once, { "-json" }).json)
    assert.is_true(options.parse(once, { "--json" }).json)
  end)

  it("have a default for the configuration only where it is taken", function()
    assert.equal("/etc/agent/agent.lua", options.parse(once, {}).f)
    assert.is_nil(options.parse(help, {}).f)
  end)

  it("leave the other words to the command", function()
    assert.same({ "cpu", "mem" }, options.parse(once, { "cpu", "-f", "x", "mem" }).groups)
    assert.equal("stop", options.parse(help, { "stop" }).command)
  end)

  it("are taken as words behind two dashes", function()
    local run = { usage = "agent run [-f CONF] [--json] [--timeout S] [NAME [--] ARG…]" }
    assert.same({ timeout = "3", f = "/etc/agent/agent.lua", args = { "mysql", "-a", "--json", "--", "b" } },
      options.parse(run, { "mysql", "--timeout", "3", "--", "-a", "--json", "--", "b" }))
    assert.truthy(refused(run, { "mysql", "-a" }):find("unknown option -a (what isn't ours stands behind --)", 1, true))
    assert.truthy(refused(help, { "--", "a", "b" }):find("unexpected argument b"))
  end)

  it("are refused with one line when they are unknown, incomplete or too many", function()
    assert.equal("agent once: unknown option --jsno; usage: agent once [-f CONF] [--json] [GROUP…]\n",
      refused(once, { "--jsno" }))
    assert.truthy(refused(once, { "-f" }):find("no value for %-f"))
    assert.truthy(refused(once, { "-f=" }):find("no value for %-f"))
    assert.truthy(refused(once, { "--json=1" }):find("no value is taken by %-json"))
    assert.truthy(refused(help, { "a", "b" }):find("unexpected argument b"))
    assert.truthy(refused({ usage = "agent stop [-f CONF]" }, { "now" }):find("unexpected argument now"))
  end)
end)
