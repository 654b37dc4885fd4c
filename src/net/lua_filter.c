#include "net/lua_filter.h"

#include <lauxlib.h>
#include <string.h>

/* The same for all modules, so that a binding takes the makers of each. */
#define MAKER "agent.filter_maker"

static int collect(lua_State *L) {
    struct filter_maker *m = luaL_checkudata(L, 1, MAKER);
    if (m->free) {
        m->free(m);
        m->free = NULL;
    }
    return 0;
}

void *filter_new_maker(lua_State *L, size_t size) {
    void *m = lua_newuserdata(L, size);
    memset(m, 0, size);
    if (luaL_newmetatable(L, MAKER)) {
        lua_pushcfunction(L, collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return m;
}

struct filter_maker *filter_check_maker(lua_State *L, int index) {
    return luaL_checkudata(L, index, MAKER);
}
