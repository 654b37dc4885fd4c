rockspec_format = "3.0"
package = "agent"
version = "scm-1"
source = { url = "git+https://git.example.org/agent.git" }
description = { summary = "A Lua-scripted host-monitoring agent" }
supported_platforms = { "linux" }
dependencies = { "lua == 5.1", "lua-cjson", "luv" }
test_dependencies = { "busted" }
build = {
  type = "make",
  build_target = "build",
  install_target = "install",
  install_variables = { PREFIX = "$(PREFIX)" },
  -- All of them are linked into the executable; spec/rockspec_spec.lua keeps the list complete.
  modules = {
    ["agent.cli"] = "lua/agent/cli/init.lua",
    ["agent.cli.assemble"] = "lua/agent/cli/assemble.lua",
    ["agent.cli.lua"] = "lua/agent/cli/lua.lua",
    ["agent.cli.once"] = "lua/agent/cli/once.lua",
    ["agent.cli.reload"] = "lua/agent/cli/reload.lua",
    ["agent.cli.start"] = "lua/agent/cli/start.lua",
    ["agent.cli.version"] = "lua/agent/cli/version.lua",
    ["agent.cli.worker"] = "lua/agent/cli/worker.lua",
    ["agent.collect.coredump"] = "lua/agent/collect/coredump.lua",
    ["agent.collect.cpu"] = "lua/agent/collect/cpu.lua",
    ["agent.collect.dev"] = "lua/agent/collect/dev.lua",
    ["agent.collect.disk"] = "lua/agent/collect/disk.lua",
    ["agent.collect.kernel"] = "lua/agent/collect/kernel.lua",
    ["agent.collect.kernel_files"] = "lua/agent/collect/kernel_files.lua",
    ["agent.collect.mem"] = "lua/agent/collect/mem.lua",
    ["agent.collect.net"] = "lua/agent/collect/net.lua",
    ["agent.collect.ntp"] = "lua/agent/collect/ntp.lua",
    ["agent.collect.rate"] = "lua/agent/collect/rate.lua",
    ["agent.collect.self"] = "lua/agent/collect/self.lua",
    ["agent.collect.task"] = "lua/agent/collect/task.lua",
    ["agent.collect.time"] = "lua/agent/collect/time.lua",
    ["agent.namespace"] = "lua/agent/namespace.lua",
    ["agent.publish.file"] = "lua/agent/publish/file.lua",
    ["agent.publish.nsq"] = "lua/agent/publish/nsq.lua",
    ["agent.publish.nsq_http"] = "lua/agent/publish/nsq_http.lua",
    ["agent.publish.nsq_tcp"] = "lua/agent/publish/nsq_tcp.lua",
    ["agent.publish.outbox"] = "lua/agent/publish/outbox.lua",
    ["agent.publish.parts"] = "lua/agent/publish/parts.lua",
    ["agent.publish.points"] = "lua/agent/publish/points.lua",
    ["agent.publish.servers"] = "lua/agent/publish/servers.lua",
    ["agent.registry"] = "lua/agent/registry/init.lua",
    ["agent.registry.file"] = "lua/agent/registry/file.lua",
    ["agent.scheduler"] = "lua/agent/scheduler.lua",
    ["agent.timer"] = "lua/agent/timer.lua",
    ["agent.worker.client"] = "lua/agent/worker/client.lua",
    ["agent.worker.main"] = "lua/agent/worker/main.lua",
    ["agent.worker.resolve"] = "lua/agent/worker/resolve.lua",
    ["host"] = "src/host/lua_host.c",
    ["host.channel"] = "src/exec/lua_channel.c",
    ["host.clock"] = "src/util/lua_clock.c",
    ["host.exec"] = "src/exec/lua_exec.c",
    ["host.http_client"] = "src/http/lua_http_client.c",
    ["host.nsq"] = "src/nsq/lua_nsq.c",
    ["host.ntp"] = "src/proc/lua_ntp.c",
    ["host.procfs"] = "src/proc/lua_procfs.c",
    ["host.utmp"] = "src/proc/lua_utmp.c",
  },
}
