-- Group TIME against a real chronyd on loopback, which serves this machine's own clock.

local loop = require("loop")
local program = require("program")
local uv = require("luv")

local CHRONYD = "/usr/sbin/chronyd"

describe("time.offset", function()
  local folder, chronyd, port

  before_each(function()
    folder = program.folder()
    port = loop.free_port()
    program.write(folder .. "/chrony.conf", ([[
local stratum 5
allow 127.0.0.1
bindaddress 127.0.0.1
port %d
cmdport 0
pidfile %s/chronyd.pid
]]):format(port, folder))
    chronyd = program.spawn(CHRONYD, { "-d", "-x", "-u", "root", "-f", folder .. "/chrony.conf" })
  end)
  after_each(function()
    chronyd.kill("sigterm")
    chronyd.wait()
    program.remove(folder)
  end)

  local function once()
    local conf = { agent = { ntpservers = { "127.0.0.1:" .. port }, ntptimeout = 1 } }
    local child = program.agent({ "once", "-f", program.configure(folder, conf), "TIME" })
    child.wait(20)
    return child
  end

  it("against a chronyd that serves our own clock is next to nothing", function()
    if not uv.fs_stat(CHRONYD) then return pending("time.offset against chronyd: chrony is not installed") end
    local child
    program.wait("an answer of chronyd", 15, function()
      assert(not chronyd.code, chronyd.output)
      child = once()
      return child.stdout:find("time.offset", 1, true)
    end)
    local offset = tonumber(child.stdout:match("time%.offset +(%S+)"))
    assert.near(0, offset, 0.05)
  end)

  it("of a server that is gone is not sent, and the reason is told", function()
    if not uv.fs_stat(CHRONYD) then return pending("time.offset without chronyd: chrony is not installed") end
    chronyd.kill("sigterm")
    chronyd.wait()
    local child = once()
    assert.is_nil(child.stdout:find("time.offset", 1, true))
    assert.matches("127.0.0.1", child.output)
  end)
end)
