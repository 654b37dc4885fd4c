#include "net/lua_link.h"

#include <lauxlib.h>
#include <uv.h>

#include "host/host.h"

int link_function(lua_State *L, const char *name) {
    lua_getfield(L, 1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void link_open(lua_State *L, struct link *link) {
    link->L = host_of(L)->L;
    lua_pushvalue(L, -1);
    link->self = luaL_ref(L, LUA_REGISTRYINDEX);
    link->on_ready = link_function(L, "on_ready");
    link->on_closed = link_function(L, "on_closed");
}

void link_release(struct link *link) {
    luaL_unref(link->L, LUA_REGISTRYINDEX, link->self);
    luaL_unref(link->L, LUA_REGISTRYINDEX, link->on_ready);
    luaL_unref(link->L, LUA_REGISTRYINDEX, link->on_closed);
    link->self = link->on_ready = link->on_closed = LUA_NOREF;
}

bool link_push(struct link *link, int *ref, bool once) {
    if (!link->L || *ref == LUA_NOREF) {
        return false;
    }
    lua_rawgeti(link->L, LUA_REGISTRYINDEX, *ref);
    if (once) {
        luaL_unref(link->L, LUA_REGISTRYINDEX, *ref);
        *ref = LUA_NOREF;
    }
    return true;
}

void link_push_error(lua_State *L, const char *code, const char *message) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
}

int link_refuse(lua_State *L, int error) {
    lua_pushnil(L);
    lua_pushstring(L, uv_strerror(error));
    lua_pushstring(L, uv_err_name(error));
    return 3;
}

const char *link_string(lua_State *L, const char *name, size_t *len) {
    lua_getfield(L, 1, name);
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "option %s must be a string", name);
    }
    const char *text = lua_tolstring(L, -1, len);
    lua_pop(L, 1); /* the options table keeps it */
    return text;
}

uint64_t link_number(lua_State *L, const char *name, uint64_t fallback) {
    lua_getfield(L, 1, name);
    lua_Number value = lua_isnil(L, -1) ? (lua_Number)fallback : lua_tonumber(L, -1);
    if (!(value >= 1 && value <= 1e9)) {
        luaL_error(L, "option %s must be a number from 1 to 1e9", name);
    }
    lua_pop(L, 1);
    return (uint64_t)value;
}
