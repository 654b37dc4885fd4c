/* A walk over all processes, as Lua sees it. */
#ifndef AGENT_PROC_LUA_SWEEP_H
#define AGENT_PROC_LUA_SWEEP_H

#include <lua.h>

/* Begins one below the directory `root` for the list of paths at 2; pushes it, or nil, message,
 * CODE. */
int procfs_sweep_open(lua_State *L, int root);

void procfs_sweep_register(lua_State *L);

#endif
