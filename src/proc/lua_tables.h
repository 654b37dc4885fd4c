/* Tables that a reader hands out again and again: a cycle of collection makes next to no garbage.
 */
#ifndef AGENT_PROC_LUA_TABLES_H
#define AGENT_PROC_LUA_TABLES_H

#include <lua.h>
#include <stdint.h>

/* Pushes the table kept under `name` in the environment of the userdata at index 1, made at first
 * use. */
void tables_push_kept(lua_State *L, const char *name);

/* Pushes record number `i` of the list on the top, made at first use. */
void tables_push_record(lua_State *L, int i);

/* Cuts the list on the top to its first `n` records. */
void tables_cut_list(lua_State *L, int n);

/* Sets a field of the table on the top. */
void tables_set_number(lua_State *L, const char *field, uint64_t value);

#endif
