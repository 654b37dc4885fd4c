/* Classes of userdata. */
#ifndef AGENT_UTIL_LUA_CLASS_H
#define AGENT_UTIL_LUA_CLASS_H

#include <lauxlib.h>

/* Makes the metatable `name` of a class of userdata: `gc` (NULL: none) frees one, `methods` are
 * what obj:method() finds. Leaves nothing on the stack. */
static inline void lua_class(lua_State *L, const char *name, lua_CFunction gc,
                             const luaL_Reg *methods) {
    luaL_newmetatable(L, name);
    if (gc) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

#endif
