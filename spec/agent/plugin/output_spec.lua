-- Output of plugins in all its formats, told apart by content.

local output = require("agent.plugin.output")

-- Reads all at once, and counts the turns of the loop it took.
local function read(text, code, before)
  local found, waiting, turns = nil, {}, 1
  output.read(text, { code = code or 0, before = before, later = function(fn) waiting[#waiting + 1] = fn end },
    function(err, metrics, refused, format)
      assert(not found, "done twice")
      found = { err = err, metrics = metrics, refused = refused, format = format }
    end)
  while #waiting > 0 do
    turns = turns + 1
    table.remove(waiting)()
  end
  assert(found, "not done")
  return found, turns
end

local json = '[{"name":"threads","value":12,"timestamp":1714557600123,"tags":{"server":"127.0.0.1:3306"}}]'

-- Each: what it is, exit status, text. Outputs of real programs, shortened where they go on in the same way.
local examples = {
  { "json", 0, json },
  { "json", 0, "\239\187\191 \n" .. json },
  { "json", 0, "[]" }, { "json", 0, "null\n" }, { "json", 0, "[ {}" }, { "json", 1, json },
  { "json", 0, "[\n" }, { "json", 0, '{"name":"a","value":1}' }, { "json", 0, "[null]" },
  { "empty", 0, "" }, { "empty", 0, " \n\t\r\n" }, { "empty", 2, "\n" },
  -- Telegraf's exec scripts, and Telegraf itself
  { "line", 0, "example,tag1=a,tag2=b i=42i,j=43i,k=44i\n" },
  { "line", 0, "weather,location=us-midwest temperature=82 1465839830100400200\n" },
  { "line", 0, "\n# collected by du.sh\ndu,path=/srv/data bytes=123i\n" },
  { "line", 0, "win_perf,instance=C:,objectname=Logical\\ Disk,host=WIN7 Percent_Free_Space=12.5"
    .. " 1600000000000000000\n" },
  { "line", 0, 'systemd_units,name=ssh.service,load=loaded,active=active,sub=running load_code=0i'
    .. ' 1600000000000000000' },
  { "line", 0, "nvidia_smi,index=0,name=Tesla\\ K80 temperature_gpu=45i,utilization_gpu=0i" },
  { "line", 0, 'net_response,result=success,port=22 response_time=0.0001,result_code=0i,result_type="success"' },
  { "line", 0, "warning: cache is old\nm,a=b value=1\n" },
  -- scripts for node_exporter's textfile collector
  { "prometheus", 0, "# HELP node_reboot_required Node reboot is required for software updates.\n"
    .. "# TYPE node_reboot_required gauge\nnode_reboot_required 0\n" },
  { "prometheus", 0, 'apt_upgrades_pending{arch="amd64",origin="Debian:12.5/stable"} 3\n' },
  { "prometheus", 0, "# TYPE smartmon_device_info gauge\n" },
  { "prometheus", 0, 'smartmon_attr{disk="/dev/sda",type="sat",name="power_on hours"} 1.0e+00\n' },
  { "prometheus", 0, "backup_last_success 1465839830\n" }, { "prometheus", 0, '{"a.b",c="d"} 1\n' },
  { "prometheus", 0, "# EOF\n" }, { "prometheus", 0, "go_gc_pause{quantile=\"0\"} NaN\n" },
  -- monitoring-plugins 2.3
  { "nagios", 0, "LOAD OK - total load average: 0.75, 0.31, 0.33|load1=0.750;15.000;30.000;0;"
    .. " load5=0.310;10.000;25.000;0;" },
  { "nagios", 0, "DISK OK - free space: / 78248MiB (83% inode=96%);|"
    .. " /=15743320064B;257024904396;265141480325;0;270552530944" },
  { "nagios", 0, "PROCS OK: 94 processes | procs=94;1:100000;;0;\n" },
  { "nagios", 0, "USERS OK - 0 users currently logged in |users=0;5;10;0\n" },
  { "nagios", 0, "PING OK - Packet loss = 0%, RTA = 0.05 ms|rta=0.050000ms;100.000000;500.000000;0.000000"
    .. " pl=0%;20;60;0;" },
  { "nagios", 0, "TCP OK - 0.000 second response time on 127.0.0.1 port 22|time=0.000054s;;;0.000000;10.000000" },
  { "nagios", 2, "CRITICAL: hello\n" }, { "nagios", 0, "OK: hello\n" }, { "nagios", 0, "OK a=1\n" },
  { "nagios", 2, "FILE_AGE CRITICAL: /etc/passwd is 337 seconds old and 1572 bytes | age=337s;1;2 size=1572B;0;0;0" },
  { "nagios", 2, "connect to address 127.0.0.1 and port 1: Connection refused\nHTTP CRITICAL - Unable to open TCP"
    .. " socket\n" },
  { "nagios", 2, "NTP CRITICAL: No response from NTP server\n" },
  { "nagios", 3, "SENSORS UNKNOWN - command not found (did you install lmsensors?)\n" },
  { "nagios", 1, "[WARNING] two of three | a=1\n" }, { "nagios", 1, "WARN - queue is long\n" },
  { "nagios", 0, "nothing to say | a=1\n" }, { "nagios", 1, "DISK\nall mounts:\n/ 5% | /=5%\n" },
  -- none of them
  { nil, 0, "Error 1045: Access denied for user 'root'@'localhost' (using password: YES)\n" },
  { nil, 0, "could not connect to NVML: Driver Not Loaded\n" },
  { nil, 0, "CRITICAL: but it says 0\n" }, { nil, 1, "OK, but it says 1\n" }, { nil, 127, "DISK OK | a=1\n" },
  { nil, 3, "check_load: Could not parse arguments\nUsage:\n check_load -w 1\n" },
  { nil, 0, "PID TTY TIME CMD\n1 ? 00:00:01 init\n" }, { nil, 0, "cat /etc/x | sort | uniq\n" },
  { nil, 0, "\0\1\2\255" }, { nil, 0, "BOOK | KEEPER" },
}

describe("detect()", function()
  for _, example in ipairs(examples) do
    local name = example[3]:sub(1, 60):gsub("[%c\128-\255]", "?")
    it(("takes for %s, with exit status %d: %s"):format(tostring(example[1]), example[2], name), function()
      assert.equal(example[1], output.detect(example[3], example[2]))
    end)
  end

  it("takes a Nagios plugin that could do nothing for one, when it was one before", function()
    local text = "connect to address 127.0.0.1 and port 1: Connection refused\n"
    assert.is_nil(output.detect(text, 2))
    assert.equal("nagios", output.detect(text, 2, "nagios"))
    assert.is_nil(output.detect(text, 2, "line"))
    assert.is_nil(output.detect(text, 137, "nagios"))
  end)
end)

describe("read()", function()
  it("gives the metrics of JSON", function()
    assert.same({ metrics = { { name = "threads", value = 12, timestamp = 1714557600123,
      tags = { server = "127.0.0.1:3306" } } }, refused = { count = 0 }, format = "json" }, (read(json)))
  end)

  it("gives the metrics of line protocol", function()
    assert.same({ { name = "example.i", value = 42, tags = { tag1 = "a" } } }, read("example,tag1=a i=42i\n").metrics)
  end)

  it("gives the metrics of Prometheus' text", function()
    assert.same({ { name = "up", value = 1 } }, read("# TYPE up gauge\nup 1\n").metrics)
  end)

  it("gives the metrics of a Nagios plugin, whose exit status is a metric", function()
    assert.same({ { name = "state", value = 2 }, { name = "procs", value = 101 } },
      read("PROCS CRITICAL: 101 processes | procs=101;;1:1;0;\n", 2).metrics)
  end)

  it("of nothing gives no metrics and no error", function()
    assert.same({ metrics = {}, refused = { count = 0 }, format = "empty" }, (read("  \n")))
    assert.same({ metrics = {}, refused = { count = 0 }, format = "json" }, (read("[]")))
  end)

  it("leaves bad entries out and tells them", function()
    local found = read('[{"name":"a","value":1},null,{"name":"b/c","value":1},{"name":"d","value":2}]')
    assert.is_nil(found.err)
    assert.same({ { name = "a", value = 1 }, { name = "d", value = 2 } }, found.metrics)
    assert.same({ count = 2, { index = 1, reason = "not an object" },
      { index = 2, name = "b/c", reason = "invalid name, just 0-9 a-z A-Z - _ . are allowed" } }, found.refused)
  end)

  it("tells twenty of them, and how many they are", function()
    local found = read("a value=1\n" .. ("b value=\n"):rep(50))
    assert.equal(20, #found.refused)
    assert.equal(50, found.refused.count)
    assert.equal(2, found.refused[1].index)
  end)

  it("has an error when nothing can be used", function()
    local found = read("[null, 1]")
    assert.same({ code = "output", message = "nothing of it can be used; entry 0: not an object" }, found.err)
    assert.is_nil(found.metrics)
    assert.equal(2, found.refused.count)
  end)

  it("has an error for text of no format, with its first line", function()
    local found = read("\n Error 1045: \1Access denied\nmore")
    assert.equal("output", found.err.code)
    assert.matches("neither JSON.*Error 1045: %?Access denied$", found.err.message)
  end)

  it("has an error for broken JSON, and for text behind it", function()
    assert.equal("entry 1: the body ends inside a string", read('[{"name":"a","value":1},{"na').err.message)
    assert.equal("text behind the array", read(json .. " done").err.message)
    assert.equal("not an array of metrics", read('{"name":"a","value":1}').err.message)
  end)

  it("reads ten thousand entries and no more", function()
    local found = read(("a value=1\n"):rep(20000))
    assert.equal(10000, #found.metrics)
    assert.equal(1, found.refused.count)
    assert.matches("more than 10000 entries", found.refused[1].reason)
    assert.is_nil(read(("a value=1\n"):rep(10000)).refused[1])
  end)

  it("reads much in many turns of the loop", function()
    local _, turns = read(("a value=1\n"):rep(5000))
    assert.is_true(turns >= 10)
  end)
end)

describe("LPeg", function()
  it("is loaded when output comes that needs it, and not before", function()
    local path = os.tmpname()
    local f = io.open(path, "w")
    f:write([[
      local output = require("agent.plugin.output")
      local function loaded()
        for line in io.lines("/proc/self/maps") do if line:find("lpeg") then return true end end
        return package.loaded.lpeg ~= nil
      end
      local function read(text) output.read(text, { code = 0, later = function(fn) fn() end }, function() end) end
      read("")
      read('[{"name":"a","value":1}]')
      print(loaded())
      read("a value=1")
      print(loaded())
    ]])
    f:close()
    local pipe = io.popen(("%s lua %s"):format(os.getenv("AGENT") or "build/agent", path))
    local said = pipe:read("*a")
    pipe:close()
    os.remove(path)
    assert.equal("false\ntrue\n", said)
  end)
end)

describe("one turn of the loop", function()
  local MiB = 2 ^ 20
  local function much(text) return text:rep(math.ceil(MiB / #text)) end
  local hostile = {
    ["line protocol"] = much("cpu,host=a,cpu=cpu0 usage_idle=98.5,usage_user=1.5 1700000000000000000\n"),
    ["JSON"] = "[" .. much('{"name":"threads","value":12,"tags":{"server":"a"}},') .. "null]",
    ["Prometheus"] = much('node_cpu_seconds_total{cpu="0",mode="idle"} 12345.67\n'),
    ["Nagios"] = "OK | " .. much("/var/log=1234MB;1;2;3;4 "),
    ["empty lines"] = much("\n"), ["blanks"] = much(" "), ["a line and empty lines"] = "a b=1\n" .. much("\n"),
    ["one line"] = much("x"), ["a line and one long one"] = "a b=1\n" .. much("x"), ["a number"] = "a " .. much("1"),
    ["braces"] = much("{"), ["brackets"] = much("["), ["nulls"] = "[" .. much("null,") .. "1]",
    ["bad lines"] = "a b=1\n" .. much("a\n"), ["backslashes"] = 'a b=1\na b="' .. much("\\"),
    ["escapes"] = 'a b=1\na b="' .. much('\\"') .. '"',
    ["JSON escapes"] = '[{"name":"a","value":"' .. much("\\n") .. '"}]',
    ["escaped names"] = "a b=1\n" .. much(("\\,"):rep(15000) .. " b=1\n"),
    ["open strings"] = "a b=1\n" .. much('a b="\n'), ["quotes"] = "OK | " .. much("'"),
    ["quotes and an item"] = "OK | a=1 " .. much("'") .. "=1", ["quoted blanks"] = "OK | " .. much("' "),
    ["bars"] = much("|"), ["items without a value"] = "OK | " .. much("a "),
    ["fields"] = "a b=1\n" .. much("a " .. ("b=1,"):rep(7500) .. "b=1\n"),
    ["tags"] = "a b=1\n" .. much("a" .. (",b=1"):rep(7500) .. " b=1\n"),
    ["labels"] = "a 1\n" .. much("a{" .. ('b="1",'):rep(4500) .. "} 1\n"),
    ["JSON tags"] = '[{"name":"a","value":1,"tags":{' .. much('"ab":"b",') .. '"a":"b"}}]',
  }
  for name, text in pairs(hostile) do
    it("is short whatever comes, such as 1 MiB of " .. name, function()
      local longest, waiting, done = 0, nil, false
      local function turn(fn)
        local from = os.clock() -- CPU: other programs' share of the machine is not our doing
        fn()
        longest = math.max(longest, os.clock() - from)
      end
      collectgarbage()
      turn(function()
        output.read(text, { code = 0, later = function(fn) waiting = fn end }, function() done = true end)
      end)
      while waiting do
        local fn = waiting
        waiting = nil
        turn(fn)
      end
      assert.is_true(done)
      if os.getenv("VERBOSE") then io.stderr:write(("%-24s %.2f ms\n"):format(name, longest * 1000)) end
      if not require("sanitizer").present() then assert.is_true(longest < 0.1, ("%.1f ms"):format(longest * 1000)) end
    end)
  end

  for _, name in ipairs({ "line protocol", "JSON", "Prometheus", "Nagios" }) do
    it("as the loop measures it is short with 1 MiB of " .. name, function()
      local host, timer, done = require("host"), require("agent.timer"), false
      collectgarbage()
      require("loop").drain()
      host.take_stall()
      timer.after(0, function()
        output.read(hostile[name], { code = 0, later = function(fn) timer.after(0.001, fn) end },
          function() done = true end)
      end)
      require("wait").until_true(function() return done end, 30000)
      local stall = host.take_stall()
      if os.getenv("VERBOSE") then io.stderr:write(("stall, %-20s %.2f ms\n"):format(name, stall)) end
      if not require("sanitizer").present() then assert.is_true(stall < 1000, ("%.1f ms"):format(stall)) end
    end)
  end
end)
