#include <lauxlib.h>
#include <stdio.h>

#include "host/host.h"
#include "http/client.h"
#include "net/lua_filter.h"
#include "net/lua_link.h"

#define CLIENT "host.http_client.connection"

static struct http_client *check_client(lua_State *L) {
    struct link *link = link_check(L, CLIENT);
    return link->connection;
}

static void on_ready(void *owner) {
    link_ready(owner);
}

static void on_answered(void *owner, int ticket, const struct http_failure *why,
                        const struct http_answer *answer) {
    struct link *link = owner;
    lua_State *L = link->L;
    if (!link_push(link, &ticket, true)) {
        return;
    }
    if (why) {
        link_push_error(L, why->code, why->message);
        host_call(L, 1, 0);
        return;
    }
    lua_pushnil(L);
    lua_pushinteger(L, answer->status);
    lua_pushlstring(L, answer->body, answer->len);
    host_call(L, 3, 0);
}

static void on_closed(void *owner, const struct http_failure *why) {
    link_closed(owner, why ? why->code : NULL, why ? why->message : NULL);
}

static void close_client(void *client) {
    http_client_close(client);
}

static const struct http_client_events events = {
    .ready = on_ready,
    .answered = on_answered,
    .closed = on_closed,
};

/* A filter of the maker in `tls`, for the peer called `name`; NULL without one, or with *fine =
 * false. */
static struct filter *make_tls(lua_State *L, bool *fine) {
    struct filter *f = NULL;
    lua_getfield(L, 1, "tls");
    if (!lua_isnil(L, -1)) {
        struct filter_maker *maker = filter_check_maker(L, -1);
        f = maker->make(maker, link_string(L, "name", NULL));
        *fine = f != NULL;
    }
    lua_pop(L, 1);
    return f;
}

static int open_connection(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct http_client_options options = {
        .port = (int)link_number(L, "port", 80),
        .connect_ms = link_number(L, "connect_ms", 5000),
        .reply_ms = link_number(L, "reply_ms", 5000),
    };
    options.ip = link_string(L, "ip", NULL);
    struct link *link = link_new(L, CLIENT, sizeof *link);
    int error = UV_ENOMEM;
    bool fine = true;
    options.tls = link ? make_tls(L, &fine) : NULL;
    if (!link || !fine) {
        return link_refuse(L, link ? UV_EINVAL : UV_ENOMEM);
    }
    struct http_client *client =
        http_client_connect(&host_of(L)->loop, &options, &events, link, &error);
    if (!client) {
        if (options.tls) {
            options.tls->class->free(options.tls);
        }
        return link_refuse(L, error);
    }
    link_open(L, link, client, close_client);
    return 1;
}

/* Bytes of all strings in the table at `index`; raises when there is something else in it. */
static size_t pieces_size(lua_State *L, int index) {
    size_t total = 0;
    int n = (int)lua_objlen(L, index);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index, "all pieces must be strings");
        total += lua_objlen(L, -1);
        lua_pop(L, 1);
    }
    return total;
}

static void append_pieces(lua_State *L, int index, struct buffer *out) {
    int n = (int)lua_objlen(L, index);
    for (int i = 1; i <= n; i++) {
        size_t len;
        lua_rawgeti(L, index, i);
        const char *bytes = lua_tolstring(L, -1, &len);
        buffer_append(out, bytes, len);
        lua_pop(L, 1);
    }
}

static bool is_target(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return len > 0 && text[0] == '/';
}

static int post(lua_State *L) {
    static const char version[] = " HTTP/1.1\r\n";
    struct http_client *client = check_client(L);
    size_t target_len;
    size_t fields_len;
    const char *target = luaL_checklstring(L, 2, &target_len);
    const char *fields = luaL_checklstring(L, 3, &fields_len);
    luaL_argcheck(L, is_target(target, target_len), 2, "not a request target");
    luaL_argcheck(L, fields_len == 0 || (fields_len > 2 && fields[fields_len - 1] == '\n'), 3,
                  "header lines must end with CR LF");
    luaL_checktype(L, 4, LUA_TTABLE);
    luaL_checktype(L, 5, LUA_TFUNCTION);
    size_t body = pieces_size(L, 4);
    struct buffer *out = client ? http_client_begin(client) : NULL;
    if (!out) {
        return link_refuse(L, client ? UV_EAGAIN : UV_ENOTCONN);
    }
    char length[64];
    int n = snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", body);
    if (!buffer_reserve(out, 5 + target_len + sizeof version + fields_len + (size_t)n + body)) {
        return link_refuse(L, UV_ENOBUFS);
    }
    buffer_append(out, "POST ", 5);
    buffer_append(out, target, target_len);
    buffer_append(out, version, sizeof version - 1);
    buffer_append(out, fields, fields_len);
    buffer_append(out, length, (size_t)n);
    append_pieces(L, 4, out);
    lua_settop(L, 5);
    http_client_commit(client, luaL_ref(L, LUA_REGISTRYINDEX));
    lua_pushboolean(L, true);
    return 1;
}

static int idle(lua_State *L) {
    struct http_client *client = check_client(L);
    lua_pushboolean(L, client && http_client_idle(client));
    return 1;
}

static const luaL_Reg methods[] = {
    {"idle", idle},
    {"post", post},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"connect", open_connection},
    {NULL, NULL},
};

int luaopen_host_http_client(lua_State *L);
int luaopen_host_http_client(lua_State *L) {
    link_class(L, CLIENT, methods);
    luaL_newlib(L, functions);
    return 1;
}
