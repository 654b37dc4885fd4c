-- What the plugins of Debian's monitoring-plugins-basic really print, run by the agent and read as metrics.

local exec = require("host.exec")
local formats = require("formats")
local loop = require("loop")
local output = require("agent.plugin.output")
local wait = require("wait")

local FOLDER = "/usr/lib/nagios/plugins/"

-- Runs one and reads its output: metrics by name, the exit status, and what output.read() said.
local function run(name, ...)
  local result
  local argv = { FOLDER .. name, ... }
  assert(exec.run({ argv = argv, deadline_ms = 20000, env = { PATH = "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL = "C" } },
    function(ended) result = ended end))
  wait.until_true(function() return result end, 30000)
  local told
  output.read(result.stdout, { code = result.code, later = function(fn) fn() end },
    function(err, metrics, refused, format)
      told = { err = err, metrics = {}, refused = refused, format = format, code = result.code }
      for _, metric in ipairs(metrics or {}) do
        local defect = formats.defect(metric)
        assert.is_nil(defect)
        told.metrics[metric.name] = metric
      end
    end)
  return told
end

-- That of a plugin which could do its work: nothing refused, its exit status as state.
local function healthy(...)
  local told = run(...)
  assert.is_nil(told.err)
  assert.equal("nagios", told.format)
  assert.equal(0, told.refused.count)
  assert.equal(told.code, told.metrics.state.value)
  return told.metrics
end

describe("the real", function()
  after_each(function() loop.drain() end)

  it("check_load gives the three averages", function()
    local metrics = healthy("check_load", "-w", "1000,1000,1000", "-c", "2000,2000,2000")
    assert.equal(0, metrics.state.value)
    for _, name in ipairs({ "load1", "load5", "load15" }) do assert.is_true(metrics[name].value >= 0) end
  end)

  it("check_disk gives the bytes used, labelled by mount point", function()
    local root = healthy("check_disk", "-w", "0%", "-c", "0%", "-p", "/")._
    assert.equal("/", root.tags.label)
    assert.matches("^%a*B$", root.tags.unit)
    assert.is_true(root.value > 0)
  end)

  it("check_procs is critical where there are too many, which is no failure", function()
    local metrics = healthy("check_procs", "-c", "0:0")
    assert.equal(2, metrics.state.value)
    assert.is_true(metrics.procs.value >= 1)
  end)

  it("check_users and check_file_age give what they count", function()
    assert.is_true(healthy("check_users", "-w", "1000", "-c", "2000").users.value >= 0)
    local file = healthy("check_file_age", "-w", "1", "-c", "2", "-f", FOLDER .. "check_load")
    assert.equal("s", file.age.tags.unit)
    assert.equal("B", file.size.tags.unit)
  end)

  it("check_tcp gives seconds where somebody listens", function()
    local uv = require("luv")
    local server = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(8, function()
      local client = uv.new_tcp()
      server:accept(client)
      client:close()
    end))
    local metrics = healthy("check_tcp", "-H", "127.0.0.1", "-p", tostring(server:getsockname().port))
    server:close()
    assert.equal("s", metrics.time.tags.unit)
    assert.is_true(metrics.time.value < 20)
  end)

  it("check_http that gets no connection is critical", function()
    assert.equal(2, healthy("check_http", "-H", "127.0.0.1", "-p", tostring(loop.free_port())).state.value)
  end)

  it("check_dummy has each state", function()
    for code = 0, 3 do assert.equal(code, healthy("check_dummy", tostring(code), "text").state.value) end
  end)

  it("check_load that is called wrongly is no Nagios output but an error", function()
    local told = run("check_load")
    assert.equal("output", told.err.code)
    assert.equal(3, told.code)
  end)
end)
