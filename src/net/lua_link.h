/* What the bindings of outgoing connections share: their callbacks, and errors as Lua sees them. */
#ifndef AGENT_NET_LUA_LINK_H
#define AGENT_NET_LUA_LINK_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

/* What a userdata of link_new() points to, first in a larger struct: a connection and its
 * callbacks. The registry keeps the userdata alive until the connection has closed. */
struct link {
    lua_State *L; /* the main state; NULL once the state is closing: no more calls */
    int self;
    int on_ready;
    int on_closed;
    void *connection; /* frees itself; NULL before link_open() and after link_closed() */
    void (*close)(void *connection); /* ends in link_closed(), later or at once */
};

/* Pushes a userdata of a class of link_class() and returns its struct of `size` bytes, all zero;
 * NULL without memory. It is freed with the userdata, or when the connection has closed by then. */
void *link_new(lua_State *L, const char *class, size_t size);

/* The struct of the userdata at 1; raises when it is of another class. */
void *link_check(lua_State *L, const char *class);

/* Takes on_ready and on_closed (functions or nil) from the options at 1 and anchors the userdata on
 * top. */
void link_open(lua_State *L, struct link *link, void *connection, void (*close)(void *));

/* The connection is ready: calls on_ready. */
void link_ready(struct link *link);

/* The connection has closed, with code and message or NULL: calls on_closed, lets go of everything.
 * The struct may be gone afterwards. */
void link_closed(struct link *link, const char *code, const char *message);

/* Makes a class with these methods and, for all, close(). */
void link_class(lua_State *L, const char *class, const luaL_Reg *methods);

/* A reference to the function in a field of the options at 1, LUA_NOREF when it is nil. */
int link_function(lua_State *L, const char *name);

/* Pushes the function of a reference and, with `once`, drops the reference. false: none, nothing
 * pushed. */
bool link_push(struct link *link, int *ref, bool once);

/* Pushes { code =, message = }. */
void link_push_error(lua_State *L, const char *code, const char *message);

/* nil, message, CODE of a libuv error. */
int link_refuse(lua_State *L, int error);

/* Fields of the options table at 1; raise when of another type or out of range. */
const char *link_string(lua_State *L, const char *name, size_t *len);
uint64_t link_number(lua_State *L, const char *name, uint64_t fallback);

#endif
