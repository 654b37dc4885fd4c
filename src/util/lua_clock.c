#include <lauxlib.h>

#include "util/clock.h"

static int mono(lua_State *L) {
    lua_pushnumber(L, (lua_Number)clock_mono_ns() / 1e9);
    return 1;
}

static int wall(lua_State *L) {
    lua_pushnumber(L, (lua_Number)clock_wall_ns() / 1e9);
    return 1;
}

static const luaL_Reg functions[] = {
    {"mono", mono},
    {"wall", wall},
    {NULL, NULL},
};

int luaopen_host_clock(lua_State *L);
int luaopen_host_clock(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
