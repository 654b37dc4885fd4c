/* The module `zlib`: a shared object of its own, loaded only where something is compressed. */
#include <lauxlib.h>

#include "net/lua_filter.h"
#include "zlib/deflate.h"

enum { GZIP_MAX = 64 * 1024 * 1024 };

struct maker {
    struct filter_maker maker;
    int level;
};

static struct filter *make(struct filter_maker *m, const char *name) {
    (void)name;
    return deflate_filter(((struct maker *)m)->level);
}

static int check_level(lua_State *L, int index) {
    int level = (int)luaL_optinteger(L, index, 6);
    luaL_argcheck(L, level >= 1 && level <= 9, index, "a level is 1 to 9");
    return level;
}

static int deflater(lua_State *L) {
    int level = check_level(L, 1);
    struct maker *m = filter_new_maker(L, sizeof *m);
    *m = (struct maker){.maker.make = make, .level = level};
    return 1;
}

static int gzip(lua_State *L) {
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int level = check_level(L, 2);
    struct buffer out;
    buffer_init(&out, GZIP_MAX);
    if (!deflate_gzip(text, len, level, &out)) {
        buffer_free(&out);
        return luaL_error(L, "no memory to compress %d bytes", (int)len);
    }
    lua_pushlstring(L, out.data, out.len);
    buffer_free(&out);
    return 1;
}

static const luaL_Reg functions[] = {{"deflater", deflater}, {"gzip", gzip}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_zlib(lua_State *L);
int luaopen_zlib(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
