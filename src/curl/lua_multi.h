#ifndef AGENT_CURL_LUA_MULTI_H
#define AGENT_CURL_LUA_MULTI_H

#include <lua.h>

/* Makes the metatable of what curl.multi() returns. */
void curl_register_multi(lua_State *L);

int curl_open_multi(lua_State *L);

#endif
