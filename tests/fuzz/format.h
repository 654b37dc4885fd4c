/* Fuzz targets of parsers written in Lua: one state, in which tests/fuzz/format.lua checks what
 * must hold. The modules are those of the tree below the working directory, LPeg is the system's.
 */
#ifndef AGENT_FUZZ_FORMAT_H
#define AGENT_FUZZ_FORMAT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void format_must(lua_State *L, int status) {
    if (status != 0) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
}

/* The check of the named format stays on the stack; the state lives as long as the process. */
static inline lua_State *format_open(const char *name) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    format_must(L, luaL_loadfile(L, "tests/fuzz/format.lua"));
    lua_pushstring(L, name);
    format_must(L, lua_pcall(L, 1, 1, 0));
    return L;
}

static inline void format_check(lua_State *L, const uint8_t *data, size_t size) {
    lua_pushvalue(L, -1);
    lua_pushlstring(L, (const char *)data, size);
    format_must(L, lua_pcall(L, 1, 0, 0));
}

#endif
