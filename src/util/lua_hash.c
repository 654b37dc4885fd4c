#include <lauxlib.h>

#include "util/hash.h"

static int of(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    lua_pushnumber(L, hash_of(bytes, n));
    return 1;
}

static int fraction(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    lua_pushnumber(L, (lua_Number)hash_of(bytes, n) / 4294967296.0);
    return 1;
}

static const luaL_Reg functions[] = {
    {"fraction", fraction},
    {"of", of},
    {NULL, NULL},
};

int luaopen_host_hash(lua_State *L);
int luaopen_host_hash(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
