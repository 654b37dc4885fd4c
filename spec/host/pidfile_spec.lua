local pidfile = require("host.pidfile")
local program = require("program")
local uv = require("luv")

local folder, path

describe("host.pidfile", function()
  before_each(function()
    folder = program.folder()
    path = folder .. "/a/b/agent.pid"
  end)
  after_each(function() program.remove(folder) end)

  it("holds the pid while the lock is held, and refuses a second holder", function()
    local lock = assert(pidfile.acquire(path))
    assert.equal(tostring(uv.os_getpid()), program.read(path))
    assert.equal(uv.os_getpid(), pidfile.holder(path))
    assert.same({ nil, "held by pid " .. uv.os_getpid(), "HELD" }, { pidfile.acquire(path) })
    lock:release()
    lock:release()
    assert.is_nil(uv.fs_stat(path))
  end)

  it("gives the lock up when nobody holds the object any more", function()
    assert(pidfile.acquire(path))
    collectgarbage()
    collectgarbage()
    assert.same({ nil, "no such pid file: not running", "ENOENT" }, { pidfile.holder(path) })
  end)

  it("says when a pid file is stale", function()
    path = folder .. "/agent.pid"
    program.write(path, tostring(uv.os_getpid()))
    assert.equal("STALE", select(3, pidfile.holder(path)))
    assert.equal("STALE", select(3, pidfile.stop(path)))
    pidfile.acquire(path):release()
  end)

  it("says why a pid file cannot be made", function()
    program.write(folder .. "/a", "")
    assert.equal("ENOTDIR", select(3, pidfile.acquire(path)))
  end)
end)
