#include "proc/lua_tables.h"

void tables_push_kept(lua_State *L, const char *name) {
    lua_getfenv(L, 1);
    lua_getfield(L, -1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    lua_remove(L, -2);
}

void tables_push_record(lua_State *L, int i) {
    lua_rawgeti(L, -1, i);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 8);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, i);
    }
}

void tables_cut_list(lua_State *L, int n) {
    for (int i = (int)lua_objlen(L, -1); i > n; i--) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
}

void tables_set_number(lua_State *L, const char *field, uint64_t value) {
    lua_pushnumber(L, (lua_Number)value);
    lua_setfield(L, -2, field);
}
