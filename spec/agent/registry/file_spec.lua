local File = require("agent.registry.file")
local loop = require("loop")
local program = require("program")
local timer = require("agent.timer")

describe("a registry file", function()
  local function fetch(err, data)
    local answer = {}
    File.new("conf/r.lua", function(_, callback) callback(err, data) end):fetch(function(...) answer = { ... } end)
    return unpack(answer, 1, 2)
  end

  it("is namespaces with their items", function()
    local _, answer = fetch(nil, { ["a.loda"] = { { measurement_type = "CPU" } } })
    assert.same({ namespaces = { ["a.loda"] = { items = { { measurement_type = "CPU" } } } } }, answer)
  end)

  it("must return a table; errors name the path", function()
    assert.matches("conf/r.lua: returns a nil", fetch(nil, nil).message)
    assert.equal("conf/r.lua:3: oops", fetch({ message = "conf/r.lua:3: oops" }).message)
  end)

  it("is watched: written in place, replaced, removed and made again", function()
    local folder = program.folder()
    local path = folder .. "/registry.lua"
    program.write(path, "return {}")
    local source, changes = File.new(path, nil, timer.after), 0
    assert.is_nil(source:watch(function() changes = changes + 1 end))
    local function wait_for(n) loop.wait(function() return changes >= n end, "change " .. n) end
    program.write(path, "return { }")
    wait_for(1)
    program.write(folder .. "/new", "return {  }")
    assert(os.rename(folder .. "/new", path))
    wait_for(2)
    os.remove(path)
    wait_for(3)
    program.write(path, "return {}")
    wait_for(4)
    source:close()
    program.remove(folder)
  end)

  it("that can't be watched says why", function()
    assert.is_string(File.new("/nowhere/at/all.lua", nil, timer.after):watch(function() end))
  end)
end)
