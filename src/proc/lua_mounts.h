/* The mount table for Lua; apart from the reader, since a worker examines mounts. */
#ifndef AGENT_PROC_LUA_MOUNTS_H
#define AGENT_PROC_LUA_MOUNTS_H

#include <lua.h>

/* Lua: procfs.parse_mounts(bytes) */
int procfs_parse_mounts(lua_State *L);

#endif
