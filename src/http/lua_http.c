#include <lauxlib.h>
#include <string.h>

#include "host/host.h"
#include "http/lua_reply.h"
#include "http/server.h"
#include "net/lua_filter.h"
#include "util/lua_class.h"

#define SERVER "host.http.server"

struct server {
    lua_State *L;
    struct http_server *core; /* NULL once closed */
    bool unix_socket;
    int on_request; /* registry references */
    int self;       /* an open server lives until it is closed */
    int tls;        /* the maker that the core borrows */
};

static struct server *check_server(lua_State *L) {
    return luaL_checkudata(L, 1, SERVER);
}

static void push_span(lua_State *L, const struct http_request *r, struct http_span s) {
    lua_pushlstring(L, r->head.data + s.at, s.len);
}

/* Of a parameter given twice the first value counts. */
static void push_query(lua_State *L, const struct http_request *r) {
    lua_createtable(L, 0, r->param_count);
    for (int i = r->param_count - 1; i >= 0; i--) {
        push_span(L, r, r->params[i].name);
        push_span(L, r, r->params[i].value);
        lua_rawset(L, -3);
    }
}

/* A header given twice is one list, in order (RFC 9110, 5.3). */
static void push_headers(lua_State *L, const struct http_request *r) {
    lua_createtable(L, 0, r->header_count);
    for (int i = 0; i < r->header_count; i++) {
        push_span(L, r, r->headers[i].name);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        bool again = !lua_isnil(L, -1);
        if (again) {
            lua_pushliteral(L, ", ");
        } else {
            lua_pop(L, 1);
        }
        push_span(L, r, r->headers[i].value);
        if (again) {
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
}

static void push_request(lua_State *L, const struct server *s, const struct http_request *r) {
    lua_createtable(L, 0, 7);
    push_span(L, r, r->method);
    lua_setfield(L, -2, "method");
    push_span(L, r, r->path);
    lua_setfield(L, -2, "path");
    push_query(L, r);
    lua_setfield(L, -2, "query");
    push_headers(L, r);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, r->body.len ? r->body.data : "", r->body.len);
    lua_setfield(L, -2, "body");
    lua_pushstring(L, r->minor ? "1.1" : "1.0");
    lua_setfield(L, -2, "version");
    lua_pushstring(L, s->unix_socket ? "unix" : "tcp");
    lua_setfield(L, -2, "peer");
}

struct arrival {
    struct server *server;
    struct http_connection *connection;
    const struct http_request *request;
};

/* Runs protected: here memory may run out. */
static int deliver(lua_State *L) {
    struct arrival *a = lua_touserdata(L, 1);
    struct lua_reply *reply = lua_reply_push(L, a->connection);
    lua_rawgeti(L, LUA_REGISTRYINDEX, a->server->on_request);
    push_request(L, a->server, a->request);
    lua_pushvalue(L, 2);
    if (!host_call(L, 2, 0) && !reply->sent) {
        lua_reply_fail(reply);
    }
    return 0;
}

static void on_request(void *user, struct http_connection *c, const struct http_request *request) {
    struct server *s = user;
    struct arrival a = {s, c, request};
    lua_pushcfunction(s->L, deliver);
    lua_pushlightuserdata(s->L, &a);
    host_call(s->L, 1, 0);
}

static size_t size_option(lua_State *L, const char *name, size_t otherwise) {
    lua_getfield(L, 1, name);
    lua_Number value = luaL_optnumber(L, -1, (lua_Number)otherwise);
    lua_pop(L, 1);
    if (!(value >= 1 && value <= 4294967295.0)) {
        luaL_error(L, "http.listen: bad %s", name);
    }
    return (size_t)value;
}

static struct http_limits limits_of(lua_State *L) {
    struct http_limits l = http_default_limits;
    l.connections = (unsigned)size_option(L, "connections", l.connections);
    l.requests = (unsigned)size_option(L, "requests", l.requests);
    l.body = size_option(L, "body", l.body);
    l.memory = size_option(L, "memory", l.memory);
    l.idle_ms = (unsigned)size_option(L, "idle_ms", l.idle_ms);
    l.head_ms = (unsigned)size_option(L, "head_ms", l.head_ms);
    l.body_ms = (unsigned)size_option(L, "body_ms", l.body_ms);
    l.answer_ms = (unsigned)size_option(L, "answer_ms", l.answer_ms);
    l.write_ms = (unsigned)size_option(L, "write_ms", l.write_ms);
    l.linger_ms = (unsigned)size_option(L, "linger_ms", l.linger_ms);
    return l;
}

static const char *string_option(lua_State *L, const char *name) {
    lua_getfield(L, 1, name); /* stays on the stack, so that the string stays */
    return luaL_optstring(L, -1, NULL);
}

static void shut(struct server *s) {
    if (s->core) {
        http_server_close(s->core);
        s->core = NULL;
        luaL_unref(s->L, LUA_REGISTRYINDEX, s->on_request);
        luaL_unref(s->L, LUA_REGISTRYINDEX, s->self);
        luaL_unref(s->L, LUA_REGISTRYINDEX, s->tls);
    }
}

static int listen_at(struct server *s, const char *path, const char *ip, int port,
                     const char **why) {
    return path ? http_server_listen_unix(s->core, path, why)
                : http_server_listen_tcp(s->core, ip, port, why);
}

static int http_listen(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct http_limits limits = limits_of(L);
    const char *path = string_option(L, "path");
    const char *ip = string_option(L, "ip");
    luaL_argcheck(L, !path != !ip, 1, "either path or ip");
    lua_getfield(L, 1, "port");
    int port = (int)luaL_optinteger(L, -1, 0);
    luaL_argcheck(L, port >= 0 && port <= 65535, 1, "bad port");
    lua_getfield(L, 1, "on_request");
    luaL_argcheck(L, lua_isfunction(L, -1), 1, "on_request must be a function");

    struct server *s = lua_newuserdata(L, sizeof *s);
    *s = (struct server){.L = host_of(L)->L, .unix_socket = path != NULL, .tls = LUA_NOREF};
    luaL_getmetatable(L, SERVER);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -2);
    s->on_request = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    s->self = luaL_ref(L, LUA_REGISTRYINDEX);
    s->core = http_server_new(&host_of(L)->loop, &limits, on_request, s);
    const char *why = "out of memory";
    int rc = s->core ? listen_at(s, path, ip, port, &why) : UV_ENOMEM;
    if (rc == 0) {
        return 1;
    }
    shut(s);
    lua_pushnil(L);
    if (path) {
        lua_pushfstring(L, "%s: %s: %s", path, why, uv_strerror(rc));
    } else {
        lua_pushfstring(L, "%s port %d: %s: %s", ip, port, why, uv_strerror(rc));
    }
    lua_pushstring(L, uv_err_name(rc));
    return 3;
}

static int server_close(lua_State *L) {
    shut(check_server(L));
    return 0;
}

static int server_forget(lua_State *L) {
    struct server *s = check_server(L);
    if (s->core) {
        http_server_forget(s->core);
    }
    return 0;
}

static int server_tls(lua_State *L) {
    struct server *s = check_server(L);
    struct filter_maker *maker = filter_check_maker(L, 2);
    if (s->core) {
        http_server_filter(s->core, maker);
        luaL_unref(s->L, LUA_REGISTRYINDEX, s->tls);
        lua_settop(L, 2);
        s->tls = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 0;
}

static int server_port(lua_State *L) {
    struct server *s = check_server(L);
    lua_pushinteger(L, s->core ? http_server_port(s->core) : 0);
    return 1;
}

static int server_counters(lua_State *L) {
    struct server *s = check_server(L);
    struct http_counters n = {0};
    if (s->core) {
        n = http_server_counters(s->core);
    }
    lua_createtable(L, 0, 6);
    lua_pushnumber(L, (lua_Number)n.connections);
    lua_setfield(L, -2, "connections");
    lua_pushnumber(L, (lua_Number)n.memory);
    lua_setfield(L, -2, "memory");
    lua_pushnumber(L, (lua_Number)n.accepted);
    lua_setfield(L, -2, "accepted");
    lua_pushnumber(L, (lua_Number)n.requests);
    lua_setfield(L, -2, "requests");
    lua_pushnumber(L, (lua_Number)n.refused);
    lua_setfield(L, -2, "refused");
    lua_pushnumber(L, (lua_Number)n.dropped);
    lua_setfield(L, -2, "dropped");
    return 1;
}

static const luaL_Reg server_methods[] = {
    {"close", server_close}, {"counters", server_counters}, {"forget", server_forget},
    {"port", server_port},   {"tls", server_tls},           {NULL, NULL},
};

/* How long it takes tells nothing but the length of the first: for secrets. */
static int http_same(lua_State *L) {
    size_t n = 0;
    size_t m = 0;
    const volatile unsigned char *given = (const unsigned char *)luaL_checklstring(L, 1, &n);
    const volatile unsigned char *secret = (const unsigned char *)luaL_checklstring(L, 2, &m);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n && m; i++) {
        differs |= (unsigned char)(given[i] ^ secret[i % m]);
    }
    lua_pushboolean(L, !differs);
    return 1;
}

static const luaL_Reg functions[] = {
    {"listen", http_listen},
    {"same", http_same},
    {NULL, NULL},
};

int luaopen_host_http(lua_State *L);
int luaopen_host_http(lua_State *L) {
    lua_class(L, SERVER, server_close, server_methods);
    lua_reply_open(L);
    luaL_newlib(L, functions);
    return 1;
}
