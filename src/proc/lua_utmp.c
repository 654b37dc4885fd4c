#include <lauxlib.h>

#include "proc/utmp.h"

static void push_login(lua_State *L, const struct utmp_login *login) {
    lua_createtable(L, 0, 4);
    lua_pushnumber(L, (lua_Number)login->time);
    lua_setfield(L, -2, "time");
    lua_pushstring(L, login->user);
    lua_setfield(L, -2, "user");
    lua_pushstring(L, login->device);
    lua_setfield(L, -2, "device");
    lua_pushstring(L, login->remote);
    lua_setfield(L, -2, "remote");
}

static int logins(lua_State *L) {
    size_t len;
    const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 1, &len);
    static const char *const kinds[] = {"logins", "failures", NULL};
    enum utmp_kind kind = (enum utmp_kind)luaL_checkoption(L, 2, NULL, kinds);
    lua_Number since = luaL_optnumber(L, 3, 0);
    size_t size = utmp_record_size();
    lua_newtable(L);
    int found = 0;
    for (size_t at = 0; at + size <= len; at += size) {
        struct utmp_login login;
        if (utmp_login(bytes + at, size, kind, &login) && (lua_Number)login.time >= since) {
            push_login(L, &login);
            lua_rawseti(L, -2, ++found);
        }
    }
    if (len >= size) {
        lua_pushnumber(L, (lua_Number)utmp_time(bytes, size));
    } else {
        lua_pushnil(L);
    }
    return 2;
}

static const luaL_Reg functions[] = {
    {"logins", logins},
    {NULL, NULL},
};

int luaopen_host_utmp(lua_State *L);
int luaopen_host_utmp(lua_State *L) {
    luaL_newlib(L, functions);
    lua_pushinteger(L, (lua_Integer)utmp_record_size());
    lua_setfield(L, -2, "record_size");
    return 1;
}
