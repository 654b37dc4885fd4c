local uv = require("luv")
local File = require("agent.publish.file")

local folder

local function read(name)
  local f = io.open(folder .. "/" .. name, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

local function batch(...)
  local messages = {}
  for i, body in ipairs({ ... }) do messages[i] = { "h:", body } end
  return { topic = "collect.a", messages = messages, bytes = 0 }
end

-- Sends and runs the loop until the answer is there.
local function send(output, ...)
  local answered, failure
  output:send(batch(...), function(err) answered, failure = true, err end)
  assert.is_false(output:room())
  while not answered do uv.run("once") end
  return failure
end

local function close(output)
  local closed
  output:close(function() closed = true end)
  while not closed do uv.run("once") end
end

describe("the file output", function()
  before_each(function() folder = uv.fs_mkdtemp("/tmp/agent-spec-XXXXXX") end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  it("appends each message as a line and has room again afterwards", function()
    local output = File.new({ path = folder .. "/points", maxsize = 1000, keep = 2 })
    assert.is_nil(send(output, "1", "2"))
    assert.is_true(output:room())
    assert.is_nil(send(output, "3"))
    close(output)
    assert.equal("h:1\nh:2\nh:3\n", read("points"))
    assert.equal(3, output:status().written)
  end)

  it("goes on with the file of an earlier run, and counts its size", function()
    local first = File.new({ path = folder .. "/points", maxsize = 10, keep = 2 })
    send(first, "123456")
    close(first)
    local second = File.new({ path = folder .. "/points", maxsize = 10, keep = 2 })
    send(second, "x")
    close(second)
    assert.equal("h:123456\n", read("points.1"))
    assert.equal("h:x\n", read("points"))
  end)

  it("never keeps more than its rotated files", function()
    local output = File.new({ path = folder .. "/points", maxsize = 8, keep = 2 })
    for i = 1, 5 do assert.is_nil(send(output, "aaa" .. i)) end
    close(output)
    assert.equal("h:aaa5\n", read("points"))
    assert.equal("h:aaa4\n", read("points.1"))
    assert.equal("h:aaa3\n", read("points.2"))
    assert.is_nil(read("points.3"))
  end)

  it("keeps one file alone when told so", function()
    local output = File.new({ path = folder .. "/points", maxsize = 8, keep = 0 })
    for i = 1, 3 do send(output, "aaa" .. i) end
    close(output)
    assert.equal("h:aaa3\n", read("points"))
    assert.is_nil(read("points.1"))
  end)

  it("answers with path and reason where it can't write, and recovers", function()
    local output = File.new({ path = folder .. "/no/points", maxsize = 1000, keep = 2 })
    local err = send(output, "1")
    assert.equal("file", err.code)
    assert.matches("no/points: ENOENT", err.message)
    os.execute("mkdir " .. folder .. "/no")
    assert.is_nil(send(output, "1"))
    close(output)
    assert.equal("h:1\n", read("no/points"))
  end)

  it("answers when the disk is full", function()
    local output = File.new({ path = "/dev/full", maxsize = 1000, keep = 2 })
    assert.matches("ENOSPC", send(output, "1").message)
    close(output)
  end)
end)
