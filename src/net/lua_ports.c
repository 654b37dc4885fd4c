#include <lauxlib.h>
#include <stdlib.h>

#include "host/host.h"
#include "net/probe.h"
#include "util/lua_class.h"

#define CHECK "host.ports.check"

enum { MOST_PORTS = 65536, LONGEST_S = 3600 };

/* Freed when both its userdata and the probe are done with it. */
struct check {
    lua_State *L; /* the main state */
    struct probe *probe;
    int callback;
    int self;
    size_t count;
    struct probe_port *ports;
};

static struct check *check_check(lua_State *L) {
    return luaL_checkudata(L, 1, CHECK);
}

static void release(struct check *c) {
    luaL_unref(c->L, LUA_REGISTRYINDEX, c->callback);
    luaL_unref(c->L, LUA_REGISTRYINDEX, c->self);
    free(c->ports);
    c->probe = NULL;
    c->ports = NULL;
    c->callback = c->self = LUA_NOREF;
}

static void push_answer(lua_State *L, const struct probe_port *port) {
    if (port->error == 0) {
        lua_pushnumber(L, port->seconds);
    } else if (probe_is_own_fault(port->error)) {
        lua_pushstring(L, uv_err_name(port->error));
    } else {
        lua_pushboolean(L, 0);
    }
}

static void on_done(void *owner) {
    struct check *c = owner;
    lua_State *L = c->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->callback);
    lua_createtable(L, (int)c->count, 0);
    for (size_t i = 0; i < c->count; i++) {
        push_answer(L, &c->ports[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    release(c);
    host_call(L, 1, 0);
}

/* Reads { port, seconds } on top of the stack. */
static bool take_port(lua_State *L, struct probe_port *port) {
    if (!lua_istable(L, -1)) {
        return false;
    }
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    lua_Number number = lua_tonumber(L, -2);
    lua_Number seconds = lua_tonumber(L, -1);
    lua_pop(L, 2);
    if (!(number >= 1 && number <= 65535 && seconds > 0 && seconds <= LONGEST_S)) {
        return false;
    }
    port->port = (uint16_t)number;
    port->timeout_ms = (uint32_t)(seconds * 1000 + 0.5);
    return true;
}

static int refuse(lua_State *L, int error) {
    lua_pushnil(L);
    lua_pushstring(L, uv_strerror(error));
    lua_pushstring(L, uv_err_name(error));
    return 3;
}

static int ports_check(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    size_t count = lua_objlen(L, 1);
    luaL_argcheck(L, count <= MOST_PORTS, 1, "more ports than there are");
    lua_settop(L, 2);
    struct check *c = lua_newuserdata(L, sizeof *c);
    *c = (struct check){
        .L = host_of(L)->L, .callback = LUA_NOREF, .self = LUA_NOREF, .count = count};
    luaL_setmetatable(L, CHECK);
    c->ports = calloc(count + 1, sizeof *c->ports);
    if (!c->ports) {
        return refuse(L, UV_ENOMEM);
    }
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (int)i + 1);
        luaL_argcheck(L, take_port(L, &c->ports[i]), 1, "{ port, seconds } expected");
        lua_pop(L, 1);
    }
    int error = 0;
    c->probe = probe_start(&host_of(L)->loop, c->ports, count, on_done, c, &error);
    if (!c->probe) {
        return refuse(L, error);
    }
    lua_pushvalue(L, 3);
    c->self = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 2);
    c->callback = luaL_ref(L, LUA_REGISTRYINDEX);
    return 1;
}

static int check_close(lua_State *L) {
    struct check *c = check_check(L);
    if (c->probe) {
        probe_close(c->probe);
        release(c);
    }
    return 0;
}

/* Also when the state closes with a check under way. */
static int check_collect(lua_State *L) {
    struct check *c = check_check(L);
    if (c->probe) {
        probe_close(c->probe);
    }
    free(c->ports);
    c->probe = NULL;
    c->ports = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"close", check_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"check", ports_check},
    {NULL, NULL},
};

int luaopen_host_ports(lua_State *L);
int luaopen_host_ports(lua_State *L) {
    lua_class(L, CHECK, check_collect, methods);
    luaL_newlib(L, functions);
    return 1;
}
