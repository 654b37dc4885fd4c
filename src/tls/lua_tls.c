/* The module `tls`: a shared object of its own, loaded only when TLS is configured. */
#include <lauxlib.h>

#include "net/lua_filter.h"
#include "tls/engine.h"

struct maker {
    struct filter_maker maker;
    struct tls_context *context;
};

static struct filter *make(struct filter_maker *m, const char *name) {
    return tls_filter(((struct maker *)m)->context, name);
}

static void release(struct filter_maker *m) {
    tls_context_close(((struct maker *)m)->context);
}

/* Borrowed from the table at 1, which keeps it alive. */
static struct tls_text text_field(lua_State *L, const char *name) {
    struct tls_text text;
    lua_getfield(L, 1, name);
    text.data = luaL_optlstring(L, -1, NULL, &text.len);
    lua_pop(L, 1);
    return text;
}

static int open_context(lua_State *L, bool server) {
    luaL_checktype(L, 1, LUA_TTABLE);
    struct tls_options options = {.server = server};
    options.ca = text_field(L, "ca");
    options.cert = text_field(L, "cert");
    options.key = text_field(L, "key");
    char why[160];
    struct maker *m = filter_new_maker(L, sizeof *m);
    m->context = tls_context_open(&options, why, sizeof why);
    if (!m->context) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        lua_pushliteral(L, "ETLS");
        return 3;
    }
    m->maker = (struct filter_maker){.make = make, .free = release};
    return 1;
}

static int client(lua_State *L) {
    return open_context(L, false);
}

static int server(lua_State *L) {
    return open_context(L, true);
}

static const luaL_Reg functions[] = {{"client", client}, {"server", server}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_tls(lua_State *L);
int luaopen_tls(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
