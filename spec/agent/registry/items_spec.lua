local items = require("agent.registry.items")
local join = require("agent.luafile").join

local function refusal(item)
  local record, why = items.normalise(item)
  assert.is_nil(record)
  return why
end

describe("an item", function()
  it("of type PORT has defaults, whatever the registry leaves out", function()
    local expected = { type = "PORT", name = "PORT.sshd.22", port = 22, timeout = 3, interval = 60 }
    local item = { measurement_type = "PORT", name = "PORT.sshd.22", port = "22" }
    assert.same(expected, items.normalise(item))
    item.connect_timeout, item.interval, item.comment = "", "0", "x"
    assert.same(expected, items.normalise(item))
    item.connect_timeout, item.interval = "-1", " 60 "
    assert.same(expected, items.normalise(item))
    item.connect_timeout, item.interval = 5, "30"
    assert.same({ type = "PORT", name = "PORT.sshd.22", port = 22, timeout = 5, interval = 30 }, items.normalise(item))
  end)

  it("of type PORT is refused with the reason", function()
    local function with(key, value)
      local item = { measurement_type = "PORT", name = "p", port = "22" }
      item[key] = value
      return refusal(item)
    end
    assert.matches("port: \"0\"", with("port", "0"))
    assert.matches("port: \"65536\"", with("port", 65536))
    assert.matches("port: \"\"", with("port", false and 1 or {}))
    assert.matches("name is missing", with("name", ""))
    assert.matches("name: only", with("name", "a b"))
    assert.matches("interval: \"often\"", with("interval", "often"))
    assert.matches("interval: \"1.5\"", with("interval", "1.5"))
    assert.matches("more than a day", with("interval", "1000000"))
    assert.matches("connect_timeout: \"x\"", with("connect_timeout", "x"))
  end)

  it("of type PROC names an executable, and perhaps a part of its command line", function()
    assert.same({ type = "PROC", name = "PROC.nginx", path = "/usr/sbin/nginx", interval = 60 },
      items.normalise({ measurement_type = "PROC", name = "PROC.nginx", bin_path = "/usr/sbin/nginx" }))
    assert.equal("app.py", items.normalise({ measurement_type = "PROC", name = "PROC.app",
      bin_path = "/usr/bin/python3.11", cmdline = " app.py " }).cmdline)
    assert.matches("bin_path", refusal({ measurement_type = "PROC", name = "p", bin_path = "nginx" }))
    assert.matches("bin_path", refusal({ measurement_type = "PROC", name = "p" }))
  end)

  it("of a system group says its interval or nothing", function()
    assert.same({ type = "CPU", name = "cpu.idle", interval = 10 },
      items.normalise({ measurement_type = "CPU", name = "cpu.idle", interval = "10" }))
    assert.is_nil(items.normalise({ measurement_type = "FS", interval = "" }).interval)
    assert.matches("interval", refusal({ measurement_type = "CPU", interval = "soon" }))
  end)

  it("that others run is passed over, one of no known type refused", function()
    assert.is_nil(refusal({ measurement_type = "API", name = "API.x" }))
    assert.matches("BOGUS", refusal({ measurement_type = "BOGUS" }))
    assert.matches("measurement_type is missing", refusal({ name = "x" }))
    assert.matches("not a string", refusal("text"))
  end)
end)

describe("a namespace", function()
  it("keeps its good items beside the refused ones, each named with its reason", function()
    local refused = {}
    local records = items.of_namespace("a.loda", {
      { measurement_type = "PORT", name = "p", port = "22" }, "x",
      { measurement_type = "PORT", name = "p", port = "23" },
      { measurement_type = "CPU", name = "cpu.idle" }, { measurement_type = "CPU", name = "cpu.idle" },
    }, function(index, name, why) refused[index] = (name or "?") .. ": " .. why end)
    assert.equal(3, #records)
    assert.equal("a.loda", records[1].ns)
    assert.matches("^%?: an item is a table", refused[2])
    assert.matches("^p: the name is taken", refused[3])
  end)
end)

describe("the check of a registry file", function()
  local function keys(data, lines)
    local found = {}
    for i, problem in ipairs(items.problems(data, lines, join)) do found[i] = problem.key end
    return found
  end

  it("finds nothing wrong with items in the registry's shape", function()
    assert.same({}, keys({ ["web.shop.loda"] = {
      { measurement_type = "PORT", name = "PORT.sshd.22", port = "22", interval = "60" },
      { measurement_type = "CPU", interval = 10 },
    }, ["empty.loda"] = {} }))
  end)

  it("names each item that is wrong, in the order of their lines", function()
    assert.same({ '["a.loda"][1]', '["a.loda"][2]', '["b.loda"]', '["c d"]', '["e.loda"]' }, keys({
      ["a.loda"] = { {}, "x" }, ["b.loda"] = "x", ["c d"] = {}, ["e.loda"] = { x = {} },
    }))
    assert.same({ '["z.loda"]', '["a.loda"]' },
      keys({ ["a.loda"] = 1, ["z.loda"] = 1 }, { ['["a.loda"]'] = 9, ['["z.loda"]'] = 2 }))
  end)
end)
