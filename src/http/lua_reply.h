/* The reply object of a request; between lua_http.c and lua_reply.c only. */
#ifndef AGENT_HTTP_LUA_REPLY_H
#define AGENT_HTTP_LUA_REPLY_H

#include <lua.h>

#include "http/server.h"

struct lua_reply {
    struct http_reply link;
    lua_State *L; /* the host's */
    bool sent;    /* answered, or a stream was begun */
    int on_gone;  /* registry reference */
};

/* Makes the class known. */
void lua_reply_open(lua_State *L);

/* Pushes a new reply, attached to the connection. */
struct lua_reply *lua_reply_push(lua_State *L, struct http_connection *c);

/* Answers 500 in place of a handler that raised. */
void lua_reply_fail(struct lua_reply *r);

#endif
