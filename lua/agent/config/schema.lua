-- Every key of the configuration: type, default, range, a sentence. Errors, `agent check` and
-- docs/config.md are made from this list. A default that is a function is given the conf so far.

local KiB, MiB, GiB = 2 ^ 10, 2 ^ 20, 2 ^ 30

local groups = { "CPU", "DISK", "MEM", "NET", "FS", "TIME", "KERNEL", "DEV", "COREDUMP", "PORT", "PROC" }

local function below_statedir(name)
  return function(conf) return conf.agent.statedir .. "/" .. name end
end

-- Only root can run plugins as somebody else.
local function own_or_nobody()
  local uv = require("luv")
  return uv.getuid() == 0 and "nobody" or (uv.os_get_passwd() or {}).username or ""
end

-- The outputs of output.also have spools of their own.
local function spool_directory(conf, output)
  return conf.agent.statedir .. "/spool" .. (output and "-" .. output.name or "")
end

return {
  { key = "agent.listen", type = "listen", default = "127.0.0.1:1232",
    says = "Where the HTTP API listens; port 0 takes a free one." },
  { key = "agent.socket", type = "path", empty = true, default = "/var/run/monitor-agent.sock",
    says = "Unix socket of the HTTP API." },
  { key = "agent.pidfile", type = "path", default = "/var/run/loda-agent.pid",
    says = "Holds the pid and the lock that keeps a second agent from starting." },
  { key = "agent.statedir", type = "path", default = "/var/lib/agent",
    says = "What must survive a restart: the last good registry answer, the spool." },
  { key = "agent.registryaddr", type = "registry", default = "",
    says = "Where namespaces and items come from: a registry, or a local file when standalone." },
  { key = "agent.registryca", type = "path", empty = true, default = "",
    says = 'PEM file of the authorities that an https registry is trusted by; "" takes the system\'s.' },
  { key = "agent.registrycert", type = "path", empty = true, default = "",
    says = 'PEM file of the certificate that is shown to an https registry; "" for none.' },
  { key = "agent.registrykey", type = "path", empty = true, default = "",
    says = "PEM file of that certificate's key; it may be in the same file." },
  { key = "agent.ifaceprefix", type = "list", of = "string", default = {},
    says = "Prefixes of the interfaces that are reported; with none, NET takes all and no address is sent." },
  { key = "agent.pluginsdir", type = "path", default = "/usr/local/agent-plugins",
    says = "Where plugins are checked out; also holds the cached host name and addresses." },
  { key = "agent.pluginsuser", type = "name", default = own_or_nobody,
    shown = "nobody for root, else the agent's own user",
    says = "The user that plugins run as." },
  { key = "agent.autoenable", type = "duration", default = 86400, min = 60, max = 31536000,
    says = "A plugin that was disabled is enabled again after this time." },
  { key = "agent.git", type = "git", default = "",
    says = "Clone URL of plugins that an item names by project only." },
  { key = "agent.exceptionns", type = "namespace", empty = true, default = "exception.monitor.loda",
    says = 'The namespace that is told of failed runs of plugins and builtins; "" for none.' },
  { key = "agent.builtindir", type = "path", default = "/etc/agent/builtin.d",
    says = "Lua functions of this host, beside those that come with the agent." },
  { key = "agent.procfs", type = "path", default = "/proc", says = "Root of proc, for containers and fixtures." },
  { key = "agent.sysfs", type = "path", default = "/sys", says = "Root of sysfs." },
  { key = "agent.rootfs", type = "path", default = "/", says = "Root of the file systems that FS looks at." },
  { key = "agent.mininterval", type = "duration", default = 10, min = 1, max = 3600,
    says = "No item runs more often, whatever the registry says." },
  { key = "agent.intervals", type = "map", keys = groups, of = "duration", min = 1, max = 86400, default = {},
    says = "Seconds between runs of a group where no item says otherwise." },
  { key = "agent.mountdeadline", type = "duration", default = 5, min = 0.1, max = 300,
    says = "A mount that has not answered by then is reported as stuck." },
  { key = "agent.ntpservers", type = "list", of = "address", port = 123, default = {},
    says = "Servers that time.offset is measured against; none means no time.offset." },
  { key = "agent.ntptimeout", type = "duration", default = 6, min = 0.1, max = 60,
    says = "How long a reply of an NTP server is waited for." },
  { key = "agent.coredumpdir", type = "path", default = "/home/coresave",
    says = "Where core.SERVICE.PID.TIME files appear." },

  { key = "output.name", type = "enum", values = { "nsq", "file" }, default = "nsq",
    says = "Where messages go: nsqd, or a local file." },
  { key = "output.servers", type = "list", of = "server", fewest = 1, default = { "tcp://127.0.0.1:4150" },
    says = "The nsqd to publish to (nsq); the next one is taken when one fails." },
  { key = "output.buffersize", type = "integer", default = 65536, min = 1, max = 2 ^ 24,
    says = "Messages held in memory at most." },
  { key = "output.maxmemory", type = "size", default = 16 * MiB, min = 64 * KiB, max = 4 * GiB,
    says = "Bytes of messages held in memory at most." },
  { key = "output.required", type = "boolean", default = true,
    says = "Whether a message counts as delivered only when this output has it, or its spool; else best effort." },
  { key = "output.spooldir", type = "path", default = spool_directory,
    shown = "agent.statedir/spool (of `also`: spool-NAME)",
    says = "Where messages wait on disk that the output does not take. Each output needs its own." },
  { key = "output.spoolsize", type = "size", default = 512 * MiB, min = 0, max = 1024 * GiB,
    says = "Bytes on disk at most, then the oldest messages are dropped; 0 means no spool." },
  { key = "output.spoolage", type = "duration", default = 7 * 86400, min = 60, max = 3650 * 86400,
    says = "Messages that have waited longer on disk are dropped." },
  { key = "output.ack", type = "duration", default = 5, min = 0.1, max = 300,
    says = "A batch that is not acknowledged by then counts as not sent." },
  { key = "output.path", type = "path", default = below_statedir("points.jsonl"),
    shown = "agent.statedir/points.jsonl",
    says = "The file that messages are appended to, one a line (file)." },
  { key = "output.maxsize", type = "size", default = 64 * MiB, min = KiB, max = 1024 * GiB,
    says = "The file is rotated at this size (file)." },
  { key = "output.keep", type = "integer", default = 2, min = 1, max = 100,
    says = "Rotated files kept, PATH.1 the newest (file)." },

  { key = "output.also", type = "outputs", default = {},
    says = "More outputs, each with the keys above: everything is published to all of them." },
  { key = "plugins.cpuseconds", type = "integer", default = 300, min = 1, max = 86400,
    says = "Seconds of CPU of each process of a run (RLIMIT_CPU). An item may say its own for each of these." },
  { key = "plugins.addressspace", type = "size", default = 4 * GiB, min = MiB, max = 1024 * GiB,
    says = "Address space of each process (RLIMIT_AS)." },
  { key = "plugins.processes", type = "integer", default = 512, min = 1, max = 2 ^ 22,
    says = "Processes that agent.pluginsuser may have in all (RLIMIT_NPROC); root may have any number." },
  { key = "plugins.openfiles", type = "integer", default = 1024, min = 8, max = 2 ^ 20,
    says = "Descriptors of each process (RLIMIT_NOFILE)." },
  { key = "plugins.filesize", type = "size", default = GiB, min = 0, max = 1024 * GiB,
    says = "Size of a file that it writes (RLIMIT_FSIZE)." },
  { key = "plugins.outputsize", type = "size", default = MiB, min = KiB, max = 16 * MiB,
    says = "Bytes of output; a run that prints more is refused." },
  { key = "plugins.memory", type = "size", default = GiB, min = MiB, max = 1024 * GiB,
    says = "Memory of a run's processes together, where cgroup v2 has its controller and the agent may." },
  { key = "plugins.cpu", type = "number", default = 0, min = 0, max = 1024,
    says = "Processors that a run may use, likewise; 0 for no limit." },

  { key = "log.logdir", type = "path", empty = true, default = "",
    says = 'Directory of agent.log; "" writes to stderr.' },
  { key = "log.loglevel", type = "enum", values = { "FATAL", "ERROR", "WARNING", "INFO", "DEBUG" }, default = "INFO",
    says = "Records below this level are not written." },
  { key = "log.logrotatenum", type = "integer", default = 5, min = 0, max = 100,
    says = "Rotated files kept, agent.log.1 the newest; 0 means no rotation." },
  { key = "log.logrotatesize", type = "size", default = 100 * MiB, min = 0, max = 1024 * GiB,
    says = "agent.log is rotated at this size; 0 means no rotation." },
  { key = "log.format", type = "enum", values = { "text", "json" }, default = "text",
    says = "How a record is written: text with key=value, or a JSON object a line." },

  { key = "builtins", type = "table", default = {},
    says = "Builtin functions that run without a registry item: name = { interval = …, parameters }." },
  { key = "http", type = "section", says = "Reserved for the HTTP API; no keys yet." },

  { key = "trace", type = "ignored", says = "The Go agent's embedded Jaeger agent is not part of this program." },
  { key = "member", type = "ignored", says = "The Go agent's gossip membership is not part of this program." },
  { key = "agent.reportaddr", type = "ignored", says = "Reports go to agent.registryaddr." },
}
