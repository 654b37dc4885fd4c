/* The options table of exec.run(). What is wrong in it raises; nothing is open yet then. */
#ifndef AGENT_EXEC_LUA_OPTIONS_H
#define AGENT_EXEC_LUA_OPTIONS_H

#include <lua.h>

#include "exec/child.h"

/* Fills all but plan.as_user, uid and gid. The pointers are good as long as the table and what is
 * left on the stack. */
void exec_read_options(lua_State *L, int options, struct exec_options *o);

/* A string without NUL that stays alive in the options table; NULL: it isn't there. */
const char *exec_string_option(lua_State *L, int options, const char *name);

#endif
