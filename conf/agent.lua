-- /etc/agent/agent.lua: a production sample. docs/config.md describes every key, `agent check -f FILE` tells
-- what is wrong with a file. Every key has a default; what is left out here keeps it.
return {
  agent = {
    -- The HTTP API. Anyone who reaches it can post points: keep it on loopback unless others need it.
    listen = "127.0.0.1:1232",
    socket = "/var/run/monitor-agent.sock",
    pidfile = "/var/run/loda-agent.pid",
    statedir = "/var/lib/agent",

    -- Where namespaces and items come from; "file:/etc/agent/registry.lua" without a registry.
    registryaddr = env("AGENT_REGISTRY", "http://registry.example.org"),
    -- For https: authorities of your own, and a certificate to show.
    -- registryca = "/etc/agent/ca.pem",
    -- registrycert = "/etc/agent/agent.pem",
    -- registrykey = "/etc/agent/agent.key",

    -- Interfaces whose addresses are reported and whose traffic is measured.
    ifaceprefix = { "eth", "ens", "bond" },

    -- Plugins are checked out from git (%s is GROUP/PROJECT) and run as this user.
    pluginsdir = "/usr/local/agent-plugins",
    pluginsuser = "nobody",
    git = "git://git.example.org/%s.git",
    builtindir = "/etc/agent/builtin.d",

    -- Servers that the clock's offset is measured against; none, no time.offset.
    ntpservers = {},
  },

  output = {
    name = "nsq",
    -- tcp://HOST:4150 speaks nsqd's own protocol; http://HOST:4151 or HOST:4151 its HTTP API.
    servers = { "tcp://127.0.0.1:4150" },
    -- TLS, AUTH and compression with nsqd; more outputs, such as InfluxDB itself: docs/outputs.md.
    -- tls = true, tlsca = "/etc/agent/ca.pem", authsecret = "/etc/agent/nsqd.secret",
    maxmemory = "16MiB",
    -- What nsqd doesn't take waits here, through restarts; see docs/delivery.md.
    spooldir = "/var/lib/agent/spool",
    spoolsize = "512MiB",
    spoolage = "7d",
    -- More outputs, each with a queue and a spool of its own; required = false makes one best effort.
    -- also = { { name = "file", path = "/var/log/agent/points.jsonl", required = false } },
  },

  log = {
    logdir = "/var/log/agent", -- "" writes to stderr, for the journal
    loglevel = "INFO",
    logrotatenum = 5,
    logrotatesize = "100MiB",
    format = "text", -- or "json"
  },
}
