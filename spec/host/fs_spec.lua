local fs = require("host.fs")
local uv = require("luv")

local NAME = ".loda-fs-detect"

describe("host.fs", function()
  local dir

  before_each(function() dir = assert(uv.fs_mkdtemp("/tmp/agent-fs-XXXXXX")) end)
  after_each(function() os.execute("rm -rf " .. dir) end)

  local function contents(path)
    local file = io.open(path)
    local text = file and file:read("*a")
    if file then file:close() end
    return text
  end

  local function write_file(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  it("gives what statvfs has", function()
    local usage, known = assert(fs.usage(dir)), uv.fs_statfs(dir)
    assert.equal(known.blocks, usage.blocks)
    assert.equal(known.files, usage.files)
    assert.is_true(usage.frsize >= 512 and usage.bavail <= usage.bfree and usage.bfree <= usage.blocks)
  end)

  it("tells a file and a missing directory by their codes", function()
    write_file(dir .. "/file", "")
    assert.equal("ENOTDIR", (select(3, fs.usage(dir .. "/file"))))
    assert.equal("ENOENT", (select(3, fs.usage(dir .. "/missing"))))
    assert.equal("ENOTDIR", (select(3, fs.list(dir .. "/file"))))
    assert.is_true(fs.list(dir))
  end)

  it("writes, reads back and leaves nothing", function()
    assert.is_true(fs.write(dir, NAME, "FS-RW"))
    assert.is_nil(uv.fs_stat(dir .. "/" .. NAME))
    write_file(dir .. "/" .. NAME, "left over")
    assert.is_true(fs.write(dir, NAME, "FS-RW"))
    assert.is_nil(uv.fs_stat(dir .. "/" .. NAME))
  end)

  it("does not follow a symbolic link laid in its way", function()
    write_file(dir .. "/victim", "precious")
    uv.fs_symlink(dir .. "/victim", dir .. "/" .. NAME)
    assert.is_true(fs.write(dir, NAME, "FS-RW"))
    assert.equal("precious", contents(dir .. "/victim"))
    uv.fs_link(dir .. "/victim", dir .. "/" .. NAME)
    assert.is_true(fs.write(dir, NAME, "FS-RW"))
    assert.equal("precious", contents(dir .. "/victim"))
  end)

  it("says why it could not write", function()
    assert.equal("ENOENT", (select(3, fs.write(dir .. "/missing", NAME, "x"))))
    uv.fs_mkdir(dir .. "/" .. NAME, 493)
    assert.is_string((select(3, fs.write(dir, NAME, "x"))))
    assert.has_error(function() fs.write(dir, "../evil", "x") end)
  end)
end)
