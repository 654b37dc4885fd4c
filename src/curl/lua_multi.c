/* curl.multi(): requests side by side, driven by the loop of the worker. */
#include "curl/lua_multi.h"

#include <lauxlib.h>

#include "curl/multi.h"
#include "util/lua_class.h"

#define MULTI "curl.multi"

enum { MAX_HEADERS = 64 };

struct holder {
    struct multi *multi; /* NULL once closed */
};

static struct multi *check_multi(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, MULTI);
    luaL_argcheck(L, h->multi, 1, "it is closed");
    return h->multi;
}

static int refuse(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushliteral(L, "failed");
    return 3;
}

int curl_open_multi(lua_State *L) {
    struct holder *h = lua_newuserdata(L, sizeof *h);
    h->multi = NULL;
    luaL_setmetatable(L, MULTI);
    h->multi = multi_open();
    return h->multi ? 1 : refuse(L, "libcurl can't be set up");
}

/* Borrowed from the table at 2, which keeps it alive. */
static const char *string_field(lua_State *L, const char *name) {
    lua_getfield(L, 2, name);
    const char *value = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return value;
}

static lua_Integer integer_field(lua_State *L, const char *name, lua_Integer otherwise,
                                 lua_Integer most) {
    lua_getfield(L, 2, name);
    lua_Integer value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    luaL_argcheck(L, value >= 0 && value <= most, 2, name);
    return value;
}

/* Borrowed likewise. */
static void read_headers(lua_State *L, const char **headers) {
    lua_getfield(L, 2, "headers");
    size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    luaL_argcheck(L, n <= MAX_HEADERS, 2, "too many headers");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "headers are strings");
        headers[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int add(lua_State *L) {
    struct multi *m = check_multi(L);
    const char *headers[MAX_HEADERS + 1] = {NULL};
    luaL_checktype(L, 2, LUA_TTABLE);
    read_headers(L, headers);
    struct multi_request r = {
        .url = string_field(L, "url"),
        .method = string_field(L, "method"),
        .headers = headers,
        .connect_to = string_field(L, "connect_to"),
        .unix_path = string_field(L, "unix"),
        .ca_file = string_field(L, "ca_file"),
        .certificate = string_field(L, "certificate"),
        .key = string_field(L, "key"),
        .user = string_field(L, "user"),
        .max_body = (size_t)integer_field(L, "max_body", 1 << 20, 1 << 26),
        .redirects = (long)integer_field(L, "follow", 0, 50),
    };
    luaL_argcheck(L, r.url, 2, "url expected");
    lua_getfield(L, 2, "insecure");
    r.insecure = lua_toboolean(L, -1);
    lua_getfield(L, 2, "body");
    r.body = luaL_optlstring(L, -1, NULL, &r.body_len);
    int id = multi_add(m, &r);
    if (id == 0) {
        return refuse(L, "libcurl doesn't take the request");
    }
    lua_pushinteger(L, id);
    return 1;
}

static int remove_request(lua_State *L) {
    multi_remove(check_multi(L), (int)luaL_checkinteger(L, 2));
    return 0;
}

static int act(lua_State *L) {
    multi_act(check_multi(L), lua_toboolean(L, 2));
    return 0;
}

static int fd(lua_State *L) {
    lua_pushinteger(L, multi_fd(check_multi(L)));
    return 1;
}

static int timeout(lua_State *L) {
    long ms = multi_timeout(check_multi(L));
    if (ms < 0) {
        return 0;
    }
    lua_pushinteger(L, ms);
    return 1;
}

static int count(lua_State *L) {
    lua_pushinteger(L, multi_count(check_multi(L)));
    return 1;
}

static void set_string(lua_State *L, const char *name, const char *value) {
    if (value) {
        lua_pushstring(L, value);
        lua_setfield(L, -2, name);
    }
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, const struct buffer *bytes) {
    lua_pushlstring(L, bytes->data ? bytes->data : "", bytes->len);
    lua_setfield(L, -2, name);
}

static int next_result(lua_State *L) {
    struct multi_result r;
    if (!multi_next(check_multi(L), &r)) {
        return 0;
    }
    lua_pushinteger(L, r.id);
    lua_createtable(L, 0, 10);
    set_string(L, "code", r.code);
    set_string(L, "message", r.why);
    set_string(L, "address", r.address);
    set_string(L, "certificate", r.certificate);
    set_number(L, "status", (double)r.status);
    set_number(L, "connect", r.connect);
    set_number(L, "tls", r.tls);
    set_number(L, "first_byte", r.first_byte);
    set_number(L, "total", r.total);
    set_bytes(L, "head", r.head);
    if (!r.code) {
        set_bytes(L, "body", r.body);
    }
    return 2;
}

static int close_multi(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, MULTI);
    multi_close(h->multi);
    h->multi = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"act", act}, {"add", add},          {"close", close_multi},     {"count", count},
    {"fd", fd},   {"next", next_result}, {"remove", remove_request}, {"timeout", timeout},
    {NULL, NULL}};

void curl_register_multi(lua_State *L) {
    lua_class(L, MULTI, close_multi, methods);
}
