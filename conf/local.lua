-- The agent alone on one machine: no registry, no nsqd. `make run` starts it with this file.
return {
  agent = {
    listen = "127.0.0.1:1232",
    socket = "",
    pidfile = "run/agent.pid",
    statedir = "run/state",
    registryaddr = "file:conf/registry.lua",
    ifaceprefix = { "eth", "ens", "enp", "wl" },
    pluginsdir = "run/plugins",
    builtindir = "builtin",
  },
  output = { name = "file", path = "run/points.jsonl", maxsize = "16MiB", keep = 2 },
  log = { logdir = "", loglevel = "INFO" },
}
