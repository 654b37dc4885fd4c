-- The programs that are compared, each with a configuration that reads the same inputs.

local loop = require("loop")
local program = require("program")
local uv = require("luv")

local M = {}

-- Pages that two processes map of one file count as shared in both, so not in USS: every program that is
-- measured runs from files of its own, the agent's besides that of this very process.
local function copy(from, to)
  assert(os.execute(("cp -r '%s' '%s'"):format(from, to)) == 0)
  return to
end

--- The agent with its default collectors, publishing to nsqd under `count` namespaces.
function M.agent(name, folder, nsqd, count, topic)
  local registry = {}
  for i = 1, count do registry[("%s%d.loda"):format(topic, i)] = {} end
  uv.fs_mkdir(folder, 493)
  local conf = program.configure(folder, {
    output = { name = "nsq", path = nil, servers = { ("tcp://127.0.0.1:%d"):format(nsqd.tcp_port) } },
    log = { loglevel = "INFO" },
  }, registry)
  -- program.configure() starts from the output `file`, whose path means nothing to nsq.
  program.write(conf, (program.read(conf):gsub('%["path"%] = "[^"]*",? ?', "")))
  return { name = name, path = copy(assert(os.getenv("AGENT")), folder .. "/agent"), args = { "start", "-f", conf } }
end

-- What stands on the other side of each group: CPU = cpu load processes, MEM = memory swap, DISK = disk,
-- NET = interface and the sockets of `protocols`' neighbour sockstat (collectd has no reader for it),
-- FS = df and fhcount each 300 s. `processes` is the only one that counts processes by state; it reads more
-- of each than the agent does, so there is also a row without it. Values leave by UDP to a local sink, as
-- the agent's leave by TCP to nsqd: that is cheaper than csv or rrdtool files.
local collectd_conf = [[
Hostname "bench"
FQDNLookup false
BaseDir "%s"
PIDFile "%s/collectd.pid"
PluginDir "%s"
TypesDB "/usr/share/collectd/types.db"
Interval 10
ReadThreads 5
WriteThreads 5
LoadPlugin cpu
LoadPlugin load
LoadPlugin memory
LoadPlugin swap
LoadPlugin disk
LoadPlugin interface
%s
<LoadPlugin df>
  Interval 300
</LoadPlugin>
<LoadPlugin fhcount>
  Interval 300
</LoadPlugin>
LoadPlugin network
<Plugin cpu>
  ReportByCpu true
  ValuesPercentage true
</Plugin>
<Plugin network>
  Server "127.0.0.1" "%d"
</Plugin>
]]

local function sink()
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  socket:recv_start(function() end)
  return socket
end

--- Debian's collectd-core in the foreground. `processes`: with the plugin of that name. nil where it isn't
--- installed.
function M.collectd(name, folder, processes)
  if not uv.fs_access("/usr/sbin/collectd", "X") then return nil end
  uv.fs_mkdir(folder, 493)
  local socket = sink()
  local plugins = copy("/usr/lib/collectd", folder .. "/plugins")
  program.write(folder .. "/collectd.conf", collectd_conf:format(folder, folder, plugins,
    processes and "LoadPlugin processes" or "", socket:getsockname().port))
  return { name = name, path = copy("/usr/sbin/collectd", folder .. "/collectd"),
    args = { "-f", "-C", folder .. "/collectd.conf" },
    close = function() socket:close() end }
end

-- One GET, read to the end.
local function scrape(port)
  local tcp = uv.new_tcp()
  local function close()
    if not tcp:is_closing() then tcp:close() end
  end
  tcp:connect("127.0.0.1", port, function(err)
    if err then return close() end
    tcp:read_start(function(_, chunk)
      if not chunk then close() end
    end)
    tcp:write("GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
  end)
end

--- Debian's prometheus-node-exporter with the collectors for the same files, scraped each 10 s. It has no
--- interval of its own: the file systems are looked at in each scrape. nil where it isn't installed.
function M.node_exporter(name)
  if not uv.fs_access("/usr/bin/prometheus-node-exporter", "X") then return nil end
  local port = loop.free_port()
  local args = { ("--web.listen-address=127.0.0.1:%d"):format(port), "--collector.disable-defaults",
    "--log.level=error" }
  for _, collector in ipairs({ "cpu", "loadavg", "meminfo", "diskstats", "netdev", "sockstat", "stat",
    "processes", "filesystem", "filefd" }) do
    args[#args + 1] = "--collector." .. collector
  end
  local timer = uv.new_timer()
  timer:start(2000, 10000, function() scrape(port) end)
  return { name = name, path = "/usr/bin/prometheus-node-exporter", args = args,
    close = function() timer:close() end }
end

return M
