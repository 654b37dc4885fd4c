/* What a spool file holds, as Lua writes and reads it; parts of host.spool. */
#ifndef AGENT_SPOOL_LUA_SEGMENT_H
#define AGENT_SPOOL_LUA_SEGMENT_H

#include <lua.h>

#include "util/buffer.h"

/* Makes the two classes known. */
void lua_segment_register(lua_State *L);

/* Pushes a file that was read; takes over its bytes. */
void lua_segment_push(lua_State *L, struct buffer *bytes);

/* writer() → writer */
int lua_segment_writer(lua_State *L);

/* The records of the writer at `index`. */
struct buffer *lua_segment_records(lua_State *L, int index);

#endif
