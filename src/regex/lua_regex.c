#include <lauxlib.h>

#include "regex/regex.h"

static const char *const type = "host.regex";

static struct regex *check(lua_State *L) {
    return luaL_checkudata(L, 1, type);
}

/* The source is left to the collector, since any call of Lua's may raise. */
static int new (lua_State *L) {
    size_t n;
    const char *pattern = luaL_checklstring(L, 1, &n);
    struct regex_source *source = lua_newuserdata(L, sizeof *source);
    if (!regex_compile(source, pattern, n)) {
        lua_pushnil(L);
        lua_pushfstring(L, "regular expression %s, %s", pattern, source->why);
        lua_pushliteral(L, "regex");
        return 3;
    }
    regex_pack(source, lua_newuserdata(L, regex_size(source)));
    luaL_getmetatable(L, type);
    lua_setmetatable(L, -2);
    return 1;
}

static int too_much(lua_State *L) {
    lua_pushnil(L);
    lua_pushliteral(L, "text and regular expression are too large");
    lua_pushliteral(L, "too_large");
    return 3;
}

static int test(lua_State *L) {
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    int found = regex_match(check(L), text, n, NULL);
    if (found < 0) {
        return too_much(L);
    }
    lua_pushboolean(L, found);
    return 1;
}

static int match(lua_State *L) {
    size_t n;
    struct regex *r = check(L);
    const char *text = luaL_checklstring(L, 2, &n);
    struct regex_span spans[REGEX_GROUPS];
    int found = regex_match(r, text, n, spans);
    if (found < 0) {
        return too_much(L);
    }
    if (found == 0) {
        return 0;
    }
    for (unsigned i = 0; i < regex_groups(r); i++) {
        if (spans[i].begin < 0) {
            lua_pushnil(L);
        } else {
            lua_pushlstring(L, text + spans[i].begin, (size_t)(spans[i].end - spans[i].begin));
        }
    }
    return (int)regex_groups(r);
}

static int groups(lua_State *L) {
    struct regex *r = check(L);
    lua_newtable(L);
    for (unsigned i = 1; i < regex_groups(r); i++) {
        lua_pushstring(L, regex_name(r, i));
        lua_rawseti(L, -2, (int)i);
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"groups", groups},
    {"match", match},
    {"test", test},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new", new},
    {NULL, NULL},
};

int luaopen_host_regex(lua_State *L);
int luaopen_host_regex(lua_State *L) {
    luaL_newmetatable(L, type);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0); /* builtin functions get hold of these objects, not of what they share */
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
