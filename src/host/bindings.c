/* The one registration table of C modules; docs in lua/agent/_meta/ are compared with it by a spec.
 */
#include <lauxlib.h>
#include <luv/luv.h>

#include "host/host.h"

int luaopen_host(lua_State *L);
int luaopen_host_addresses(lua_State *L);
int luaopen_host_channel(lua_State *L);
int luaopen_host_clock(lua_State *L);
int luaopen_host_exec(lua_State *L);
int luaopen_host_fs(lua_State *L);
int luaopen_host_guard(lua_State *L);
int luaopen_host_hash(lua_State *L);
int luaopen_host_http(lua_State *L);
int luaopen_host_http_client(lua_State *L);
int luaopen_host_http_response(lua_State *L);
int luaopen_host_log(lua_State *L);
int luaopen_host_metrics(lua_State *L);
int luaopen_host_nsq(lua_State *L);
int luaopen_host_ntp(lua_State *L);
int luaopen_host_pidfile(lua_State *L);
int luaopen_host_ping(lua_State *L);
int luaopen_host_ports(lua_State *L);
int luaopen_host_procfs(lua_State *L);
int luaopen_host_regex(lua_State *L);
int luaopen_host_spool(lua_State *L);
int luaopen_host_utmp(lua_State *L);

static const luaL_Reg bindings[] = {
    {"host", luaopen_host},
    {"host.addresses", luaopen_host_addresses},
    {"host.channel", luaopen_host_channel},
    {"host.clock", luaopen_host_clock},
    {"host.exec", luaopen_host_exec},
    {"host.fs", luaopen_host_fs},
    {"host.guard", luaopen_host_guard},
    {"host.hash", luaopen_host_hash},
    {"host.http", luaopen_host_http},
    {"host.http_client", luaopen_host_http_client},
    {"host.http_response", luaopen_host_http_response},
    {"host.log", luaopen_host_log},
    {"host.metrics", luaopen_host_metrics},
    {"host.nsq", luaopen_host_nsq},
    {"host.ntp", luaopen_host_ntp},
    {"host.pidfile", luaopen_host_pidfile},
    {"host.ping", luaopen_host_ping},
    {"host.ports", luaopen_host_ports},
    {"host.procfs", luaopen_host_procfs},
    {"host.regex", luaopen_host_regex},
    {"host.spool", luaopen_host_spool},
    {"host.utmp", luaopen_host_utmp},
    {"luv", luaopen_luv},
};

void host_register_bindings(lua_State *L) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    for (size_t i = 0; i < sizeof bindings / sizeof bindings[0]; i++) {
        lua_pushcfunction(L, bindings[i].func);
        lua_setfield(L, -2, bindings[i].name);
    }
    lua_pop(L, 2);
}
