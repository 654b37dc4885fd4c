#include <lauxlib.h>

#include "host/host.h"
#include "host/trim.h"
#include "host/version.h"

static int exit_process(lua_State *L) {
    host_exit(host_of(L), (int)luaL_optinteger(L, 1, 0));
    return 0;
}

static int errors(lua_State *L) {
    lua_pushnumber(L, (lua_Number)host_of(L)->errors);
    return 1;
}

static int take_stall(lua_State *L) {
    lua_pushnumber(L, (lua_Number)host_take_stall(host_of(L)) / 1e6);
    return 1;
}

static int call(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    int nargs = lua_gettop(L) - 1;
    lua_pushboolean(L, host_call(L, nargs, 0));
    return 1;
}

static int trim(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    host_trim();
    return 0;
}

static const luaL_Reg functions[] = {
    {"call", call}, {"errors", errors}, {"exit", exit_process}, {"take_stall", take_stall},
    {"trim", trim}, {NULL, NULL},
};

int luaopen_host(lua_State *L);
int luaopen_host(lua_State *L) {
    luaL_newlib(L, functions);
    lua_newtable(L);
    lua_pushstring(L, version_number);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, version_commit);
    lua_setfield(L, -2, "commit");
    lua_pushstring(L, version_branch);
    lua_setfield(L, -2, "branch");
    lua_pushstring(L, version_built);
    lua_setfield(L, -2, "buildtime");
    lua_setfield(L, -2, "build");
    return 1;
}
