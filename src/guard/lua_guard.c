#include <lauxlib.h>
#include <sys/prctl.h>

#include "guard/guard.h"

static int conceal(lua_State *L) {
    lua_pushboolean(L, prctl(PR_SET_DUMPABLE, 0) == 0);
    return 1;
}

static int start(lua_State *L) {
    lua_Number bound_ms = luaL_checknumber(L, 1);
    luaL_argcheck(L, bound_ms >= 1 && bound_ms <= 3.6e6, 1, "1 ms to an hour");
    lua_pushboolean(L, guard_start((uint32_t)bound_ms));
    return 1;
}

static int enter(lua_State *L) {
    lua_Integer id = luaL_checkinteger(L, 1);
    luaL_argcheck(L, id > 0 && id <= INT32_MAX, 1, "from 1 on");
    guard_enter((uint32_t)id);
    return 0;
}

static int leave(lua_State *L) {
    (void)L;
    guard_leave();
    return 0;
}

static const luaL_Reg functions[] = {
    {"conceal", conceal}, {"enter", enter}, {"leave", leave}, {"start", start}, {NULL, NULL},
};

int luaopen_host_guard(lua_State *L);
int luaopen_host_guard(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
