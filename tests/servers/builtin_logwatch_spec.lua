-- builtin/logwatch.lua in the running agent, with items LOG of the registry, Debian's logrotate, a writer that goes on
-- meanwhile, and a worker that is killed.

local cjson = require("cjson")
local program = require("program")
local uv = require("luv")

local LOGROTATE = "/usr/sbin/logrotate"
local NS = "web.shop.loda"

describe("builtin logwatch in the agent", function()
  local folder, agent, log, written

  before_each(function()
    folder, written = program.folder(), 0
    uv.fs_chmod(folder, 493)
    uv.fs_mkdir(folder .. "/log", 493)
    log = folder .. "/log/app.log"
  end)
  after_each(function()
    if agent then
      agent.kill()
      agent.wait()
    end
    agent = nil
    program.remove(folder)
  end)

  local function start(item)
    item.measurement_type, item.interval, item.name = "LOG", "1", "shop.errors"
    item.file_path = item.file_path or log
    local path = program.configure(folder, { agent = { mininterval = 1 } }, { [NS] = { item } })
    agent = program.agent({ "start", "-f", path })
    program.ready(folder, agent)
  end

  -- All that was published of one metric, added up; how many points they were.
  local function published(name)
    local sum, n = 0, 0
    for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
      if line:find('"PLUGIN.shop.errors.' .. name .. '"', 1, true) then
        for _, point in ipairs(cjson.decode(line).points) do
          if point.measurement == "PLUGIN.shop.errors." .. name then
            sum, n = sum + point.fields.value, n + 1
          end
        end
      end
    end
    return sum, n
  end

  local function wait_for_run()
    local _, before = published("lines")
    program.wait("two more runs", 30, function()
      assert(not agent.code, agent.output)
      return select(2, published("lines")) >= before + 2
    end)
  end

  local function write(n)
    local f = assert(io.open(log, "a"))
    for _ = 1, n do
      written = written + 1
      f:write(("2026-01-01 ERROR %d status=%d\n"):format(written, written % 2 == 0 and 200 or 500))
    end
    f:close()
  end

  local function rotate(how)
    program.write(folder .. "/logrotate.conf",
      ("%s {\n rotate 9\n size 1\n nocompress\n su root root\n %s\n}\n"):format(log, how))
    local child = program.spawn(LOGROTATE, { "-s", folder .. "/logrotate.state", "-f", folder .. "/logrotate.conf" })
    child.wait(20)
    assert(child.code == 0, child.output)
  end

  local function worker_pid()
    local status = cjson.decode((program.curl(folder, "/me/status")))
    return status.builtins and status.builtins.pid
  end

  local function counts_all(name)
    program.wait("all lines", 30, function() return (published(name)) >= written end)
    wait_for_run()
    assert.equal(written, (published(name)))
    assert.equal(0, (published("gone")))
  end

  for _, how in ipairs({ "create 0644", "copytruncate" }) do
    it("counts every line once across logrotate with " .. how:match("%a+"), function()
      if not uv.fs_stat(LOGROTATE) then return pending("builtin logwatch: logrotate is not installed") end
      write(0)
      start({ pattern = "ERROR \\d+", func = "cnt" })
      wait_for_run()
      for _ = 1, 4 do
        write(500)
        if written % 1000 == 0 then wait_for_run() end
        rotate(how)
        write(200)
      end
      counts_all("cnt")
    end)
  end

  it("goes on where it was when the worker was killed", function()
    write(10)
    written = 0 -- what was there before is not counted
    start({ pattern = "ERROR" })
    wait_for_run()
    write(100)
    uv.kill(assert(worker_pid()), "sigkill")
    write(100)
    counts_all("cnt")
  end)

  it("makes the tags that the item asks for", function()
    write(0)
    start({ pattern = "ERROR", tags = "status", tag_status = "status=(\\d+)" })
    wait_for_run()
    write(10)
    counts_all("cnt")
    local five = 0
    for line in program.read(folder .. "/points"):gmatch("([^\n]+)\n") do
      for _, point in ipairs(cjson.decode(line).points) do
        if point.measurement == "PLUGIN.shop.errors.cnt" and point.tags.status == "500" then
          five = five + point.fields.value
        end
      end
    end
    assert.equal(5, five)
  end)

  it("says how a file can be read that it may not read", function()
    if uv.getuid() ~= 0 then return pending("builtin logwatch without rights: only root can give them up") end
    write(1)
    uv.fs_chmod(log, 384) -- 0600, of root
    start({ pattern = "ERROR" })
    program.wait("the reason", 20, function()
      return agent.output:find("app.log: may not be read; functions run as builtin.user", 1, true)
    end)
  end)

  it("reads what its group may read", function()
    if uv.getuid() ~= 0 then return pending("builtin logwatch in group adm: only root can give it away") end
    write(0)
    uv.fs_chmod(log, 416) -- 0640
    uv.fs_chown(log, 0, 4)
    local path = program.configure(folder, { agent = { mininterval = 1 }, builtin = { user = "65534:4" } }, { [NS] = {
      { measurement_type = "LOG", name = "shop.errors", interval = "1", file_path = log, pattern = "ERROR" } } })
    agent = program.agent({ "start", "-f", path })
    program.ready(folder, agent)
    wait_for_run()
    write(5)
    counts_all("cnt")
  end)
end)
