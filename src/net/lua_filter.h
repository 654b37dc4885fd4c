/* Filter makers as Lua values: made by modules such as tls, handed to bindings that connect or
 * listen. */
#ifndef AGENT_NET_LUA_FILTER_H
#define AGENT_NET_LUA_FILTER_H

#include <lua.h>

#include "net/filter.h"

/* Pushes a zeroed maker of `size` bytes, which begins with a struct filter_maker; its `free` is
 * called when Lua has no more use for it, unless it is NULL. Raises without memory. */
void *filter_new_maker(lua_State *L, size_t size);

/* The maker at `index`, which the value there keeps alive; raises when it is something else. */
struct filter_maker *filter_check_maker(lua_State *L, int index);

#endif
