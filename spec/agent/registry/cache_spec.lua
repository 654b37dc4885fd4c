local Cache = require("agent.registry.cache")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local items = { { measurement_type = "PORT", name = "PORT.sshd.22", port = "22", note = 'ü"\\\n' } }
local state = { saved = 1714557600, namespaces = {
  { "a.loda", "0d9a", Cache.items_text(items) }, { "empty.loda", nil, Cache.items_text({}) },
} }

describe("the last good state", function()
  local folder, path

  before_each(function()
    folder = program.folder()
    path = folder .. "/deep/state/registry.json"
  end)
  after_each(function() program.remove(folder) end)

  local function save(cache, what)
    local done, failure
    cache:save(what, function(err) done, failure = true, err end)
    loop.wait(function() return done end, "the write")
    return failure
  end

  local function load(from)
    local done, failure, loaded
    Cache.new(from or path):load(function(err, result) done, failure, loaded = true, err, result end)
    loop.wait(function() return done end, "the read")
    return loaded, failure
  end

  it("is read as it was written", function()
    assert.is_nil(save(Cache.new(path), state))
    local loaded = load()
    assert.same(state, loaded)
    assert.same(items, Cache.text_items(loaded.namespaces[1][3]))
    assert.same({}, Cache.text_items(loaded.namespaces[2][3]))
    assert.is_nil(uv.fs_stat(path .. ".tmp"))
  end)

  it("is the newest when several writes come at once", function()
    local cache, done = Cache.new(path), 0
    for i = 1, 5 do cache:save({ saved = i, namespaces = {} }, function() done = done + 1 end) end
    loop.wait(function() return done == 2 end, "the first and the last write")
    assert.equal(5, load().saved)
  end)

  it("is refused when there is none, torn, damaged, foreign or of another version", function()
    assert.equal("ENOENT", select(2, load()).code)
    local text = Cache.encode(state)
    local bad = {
      torn = text:sub(1, -2), damaged = (text:gsub("sshd", "sshe")), empty = "", foreign = "return {}",
      newer = (text:gsub("^agent%-registry 1", "agent-registry 2")), longer = text .. " ",
      shorter = (text:gsub("[^\n]*\n$", "")),
    }
    for what, one in pairs(bad) do
      program.write(folder .. "/bad", one)
      local loaded, err = load(folder .. "/bad")
      assert.is_nil(loaded, what)
      assert.equal("EBADMSG", err.code, what)
    end
    assert.equal("EINVAL", select(2, load("/dev/null")).code)
  end)

  it("that can't be written is an error naming the path", function()
    program.write(folder .. "/deep", "a file where a directory should be")
    assert.matches("deep/state/registry.json", save(Cache.new(path), state).message)
  end)
end)
