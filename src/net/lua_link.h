/* What the bindings of outgoing connections share: their callbacks, and errors as Lua sees them. */
#ifndef AGENT_NET_LUA_LINK_H
#define AGENT_NET_LUA_LINK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* A connection's userdata and callbacks, kept alive by the registry until it has closed. */
struct link {
    lua_State *L; /* the main state; NULL once the state is closing: no more calls */
    int self;
    int on_ready;
    int on_closed;
};

/* Takes on_ready and on_closed (functions or nil) from the options at 1 and anchors the userdata on
 * top. */
void link_open(lua_State *L, struct link *link);

/* A reference to the function in a field of the options at 1, LUA_NOREF when it is nil. */
int link_function(lua_State *L, const char *name);

/* Lets go of everything; the userdata may be collected afterwards. */
void link_release(struct link *link);

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
