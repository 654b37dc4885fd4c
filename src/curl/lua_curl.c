/* The module `curl`: a shared object of its own, which only workers load. */
#include <lauxlib.h>

#include "curl/lua_multi.h"
#include "curl/session.h"
#include "util/lua_class.h"

#define SESSION "curl.session"

enum { MAX_HEADERS = 16 };

struct holder {
    struct session *session; /* NULL once closed */
};

static struct session *check_session(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, SESSION);
    luaL_argcheck(L, h->session, 1, "the session is closed");
    return h->session;
}

/* Borrowed from the table at `at`, which keeps it alive. */
static const char *string_field(lua_State *L, int at, const char *name) {
    lua_getfield(L, at, name);
    const char *value = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return value;
}

static lua_Number number_field(lua_State *L, int at, const char *name, lua_Number otherwise) {
    lua_getfield(L, at, name);
    lua_Number value = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    luaL_argcheck(L, value >= 1 && value <= 1e9, at, name);
    return value;
}

static int open_session(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    struct session_options options = {
        .deadline_ms = (uint64_t)number_field(L, 1, "deadline_ms", 10000),
        .connect_ms = (uint64_t)number_field(L, 1, "connect_ms", 4000),
        .max_body = (size_t)number_field(L, 1, "max_body", 8.0 * 1024 * 1024),
        .ca_file = string_field(L, 1, "ca_file"),
        .ca_dir = string_field(L, 1, "ca_dir"),
        .cert = string_field(L, 1, "cert"),
        .key = string_field(L, 1, "key"),
        .no_proxy = string_field(L, 1, "no_proxy"),
        .user_agent = string_field(L, 1, "user_agent"),
    };
    struct holder *h = lua_newuserdata(L, sizeof *h);
    h->session = NULL;
    luaL_setmetatable(L, SESSION);
    h->session = session_open(&options);
    if (!h->session) {
        lua_pushnil(L);
        lua_pushliteral(L, "libcurl can't be set up");
        lua_pushliteral(L, "failed");
        return 3;
    }
    return 1;
}

static int add(lua_State *L) {
    struct session *s = check_session(L);
    const char *headers[MAX_HEADERS + 1] = {NULL};
    struct session_request request = {.headers = headers};
    luaL_checktype(L, 2, LUA_TTABLE);
    request.url = string_field(L, 2, "url");
    luaL_argcheck(L, request.url, 2, "url expected");
    lua_getfield(L, 2, "body");
    request.body = luaL_optlstring(L, -1, NULL, &request.body_len);
    lua_getfield(L, 2, "headers");
    size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    luaL_argcheck(L, n <= MAX_HEADERS, 2, "too many headers");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 4, (int)i + 1);
        headers[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    int id = session_add(s, &request);
    if (id == 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "libcurl doesn't take the request");
        lua_pushliteral(L, "failed");
        return 3;
    }
    lua_pushinteger(L, id);
    return 1;
}

static void set_string(lua_State *L, const char *name, const char *value) {
    if (value) {
        lua_pushstring(L, value);
        lua_setfield(L, -2, name);
    }
}

static int next_result(lua_State *L) {
    struct session_result r;
    if (!session_next(check_session(L), &r)) {
        return 0;
    }
    lua_pushinteger(L, r.id);
    lua_createtable(L, 0, 6);
    set_string(L, "code", r.code);
    set_string(L, "message", r.why);
    set_string(L, "redirect", r.redirect);
    lua_pushinteger(L, r.status);
    lua_setfield(L, -2, "status");
    if (r.retry_after > 0) {
        lua_pushinteger(L, r.retry_after);
        lua_setfield(L, -2, "retry_after");
    }
    lua_pushnumber(L, (lua_Number)r.wire_bytes);
    lua_setfield(L, -2, "wire_bytes");
    lua_pushboolean(L, r.reused);
    lua_setfield(L, -2, "reused");
    if (!r.code) {
        lua_pushlstring(L, r.body->data ? r.body->data : "", r.body->len);
        lua_setfield(L, -2, "body");
    }
    return 2;
}

static int renew(lua_State *L) {
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 1 && ms <= 1e9, 2, "milliseconds expected");
    session_renew(check_session(L), (uint64_t)ms);
    return 0;
}

static int close_session(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, SESSION);
    session_close(h->session);
    h->session = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"add", add}, {"close", close_session}, {"next", next_result}, {"renew", renew}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"multi", curl_open_multi}, {"open", open_session}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_curl(lua_State *L);
int luaopen_curl(lua_State *L) {
    lua_class(L, SESSION, close_session, methods);
    curl_register_multi(L);
    luaL_newlib(L, functions);
    return 1;
}
