#include "net/lua_link.h"

#include <stdlib.h>
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

void *link_new(lua_State *L, const char *class, size_t size) {
    void **userdata = lua_newuserdata(L, sizeof(void *));
    *userdata = calloc(1, size);
    luaL_setmetatable(L, class);
    return *userdata;
}

void *link_check(lua_State *L, const char *class) {
    return *(void **)luaL_checkudata(L, 1, class);
}

void link_open(lua_State *L, struct link *link, void *connection, void (*close)(void *)) {
    link->connection = connection;
    link->close = close;
    link->L = host_of(L)->L;
    lua_pushvalue(L, -1);
    link->self = luaL_ref(L, LUA_REGISTRYINDEX);
    link->on_ready = link_function(L, "on_ready");
    link->on_closed = link_function(L, "on_closed");
}

static void release(struct link *link) {
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

void link_ready(struct link *link) {
    if (link_push(link, &link->on_ready, true)) {
        host_call(link->L, 0, 0);
    }
}

void link_closed(struct link *link, const char *code, const char *message) {
    lua_State *L = link->L;
    link->connection = NULL;
    if (!L) {
        free(link);
        return;
    }
    bool call = link_push(link, &link->on_closed, true);
    if (call && code) {
        link_push_error(L, code, message);
    } else if (call) {
        lua_pushnil(L);
    }
    release(link);
    if (call) {
        host_call(L, 1, 0);
    }
}

/* (self) of the class in the upvalue. */
static int close_method(lua_State *L) {
    struct link *link = link_check(L, lua_tostring(L, lua_upvalueindex(1)));
    if (link->connection) {
        link->close(link->connection);
    }
    return 0;
}

/* The state is closing, or nothing refers to a connection that has closed. */
static int collect(lua_State *L) {
    struct link *link = *(struct link **)lua_touserdata(L, 1);
    if (link && link->connection) {
        link->L = NULL;
        link->close(link->connection);
    } else {
        free(link);
    }
    return 0;
}

void link_class(lua_State *L, const char *class, const luaL_Reg *methods) {
    luaL_newmetatable(L, class);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushstring(L, class);
    lua_pushcclosure(L, close_method, 1);
    lua_setfield(L, -2, "close");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
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
