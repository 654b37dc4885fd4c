#include "http/lua_reply.h"

#include <lauxlib.h>
#include <string.h>

#include "host/host.h"
#include "http/peer.h"
#include "util/lua_class.h"

#define REPLY "host.http.reply"

enum { HEADERS_MAX = 4096 };

static struct lua_reply *check_reply(lua_State *L) {
    return luaL_checkudata(L, 1, REPLY);
}

struct lua_reply *lua_reply_push(lua_State *L, struct http_connection *c) {
    struct lua_reply *r = lua_newuserdata(L, sizeof *r);
    *r = (struct lua_reply){.L = host_of(L)->L, .on_gone = LUA_NOREF};
    luaL_getmetatable(L, REPLY);
    lua_setmetatable(L, -2);
    http_reply_attach(&r->link, c);
    return r;
}

void lua_reply_fail(struct lua_reply *r) {
    static const char type[] = "Content-Type: text/plain; charset=utf-8\r\n";
    r->sent = true;
    http_reply_send(&r->link, 500, type, sizeof type - 1, "internal error\n", 15);
}

static bool header_is_ours(const char *name) {
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Connection") == 0 ||
           strcasecmp(name, "Transfer-Encoding") == 0 || strcasecmp(name, "Date") == 0;
}

static bool is_clean(const char *bytes, size_t n, const char *also_bad) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == 0x7f || strchr(also_bad, c)) {
            return false;
        }
    }
    return true;
}

static size_t put(char *lines, size_t at, const char *bytes, size_t n) {
    memcpy(lines + at, bytes, n);
    return at + n;
}

/* Header lines of the table at `index`; every mistake is the caller's and raises. */
static size_t compose_headers(lua_State *L, int index, char *lines) {
    size_t at = 0;
    if (lua_isnoneornil(L, index)) {
        return 0;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        size_t name_len = 0;
        size_t value_len = 0;
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_isstring(L, -1), index,
                      "a header is a string for a string");
        const char *name = lua_tolstring(L, -2, &name_len);
        lua_pushvalue(L, -1); /* a number must not be converted inside the table */
        const char *value = lua_tolstring(L, -1, &value_len);
        luaL_argcheck(L, name_len && is_clean(name, name_len, " :") && !header_is_ours(name), index,
                      "bad header name");
        luaL_argcheck(L, is_clean(value, value_len, ""), index, "bad header value");
        luaL_argcheck(L, at + name_len + value_len + 4 <= HEADERS_MAX, index, "too many headers");
        at = put(lines, at, name, name_len);
        at = put(lines, at, ": ", 2);
        at = put(lines, at, value, value_len);
        at = put(lines, at, "\r\n", 2);
        lua_pop(L, 1);
    }
    return at;
}

static int check_status(lua_State *L) {
    int status = (int)luaL_checkinteger(L, 2);
    luaL_argcheck(L, status >= 200 && status <= 599, 2, "not a final status");
    return status;
}

static void begin_answer(lua_State *L, struct lua_reply *r) {
    if (r->sent) {
        luaL_error(L, "answered twice");
    }
    r->sent = true;
}

static int reply_send(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    int status = check_status(L);
    size_t body_len = 0;
    const char *body = luaL_optlstring(L, 4, "", &body_len);
    char lines[HEADERS_MAX];
    size_t lines_len = compose_headers(L, 3, lines);
    begin_answer(L, r);
    lua_pushboolean(L, http_reply_send(&r->link, status, lines, lines_len, body, body_len));
    return 1;
}

static void forget_on_gone(struct lua_reply *r) {
    luaL_unref(r->L, LUA_REGISTRYINDEX, r->on_gone);
    r->on_gone = LUA_NOREF;
}

static void on_gone(struct http_reply *link) {
    struct lua_reply *r = (struct lua_reply *)link; /* its first member */
    if (r->on_gone != LUA_NOREF) {
        lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->on_gone);
        forget_on_gone(r);
        host_call(r->L, 0, 0);
    }
}

static int reply_stream(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    int status = check_status(L);
    char lines[HEADERS_MAX];
    size_t lines_len = compose_headers(L, 3, lines);
    if (!lua_isnoneornil(L, 4)) {
        luaL_checktype(L, 4, LUA_TFUNCTION);
    }
    begin_answer(L, r);
    bool alive = http_reply_stream(&r->link, status, lines, lines_len);
    if (alive && !lua_isnoneornil(L, 4)) {
        lua_pushvalue(L, 4);
        r->on_gone = luaL_ref(L, LUA_REGISTRYINDEX);
        r->link.on_gone = on_gone;
    }
    lua_pushboolean(L, alive);
    return 1;
}

static int reply_write(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    size_t n = 0;
    const char *bytes = luaL_checklstring(L, 2, &n);
    lua_pushboolean(L, http_reply_write(&r->link, bytes, n));
    return 1;
}

static int reply_finish(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    forget_on_gone(r);
    lua_pushboolean(L, http_reply_finish(&r->link));
    return 1;
}

static int reply_keep(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    int ms = (int)luaL_checkinteger(L, 2);
    luaL_argcheck(L, ms >= 0 && ms <= 1000, 2, "0 to 1000 ms expected");
    http_reply_keep(&r->link, (unsigned)ms);
    return 0;
}

static int reply_gone(lua_State *L) {
    lua_pushboolean(L, !check_reply(L)->link.connection);
    return 1;
}

static int reply_peer(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    struct http_peer peer;
    if (!http_peer_read(http_reply_fd(&r->link), &peer)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 3);
    if (peer.local) {
        lua_pushinteger(L, (lua_Integer)peer.uid);
        lua_setfield(L, -2, "uid");
        lua_pushinteger(L, (lua_Integer)peer.gid);
        lua_setfield(L, -2, "gid");
        lua_pushinteger(L, (lua_Integer)peer.pid);
        lua_setfield(L, -2, "pid");
    } else {
        lua_pushstring(L, peer.address);
        lua_setfield(L, -2, "address");
        lua_pushboolean(L, peer.loopback);
        lua_setfield(L, -2, "loopback");
    }
    return 1;
}

static int reply_in_group(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    lua_Number group = luaL_checknumber(L, 2);
    luaL_argcheck(L, group >= 0 && group <= 4294967295.0, 2, "not a group's number");
    lua_pushboolean(L, http_peer_in_group(http_reply_fd(&r->link), (gid_t)group));
    return 1;
}

static int reply_gc(lua_State *L) {
    struct lua_reply *r = check_reply(L);
    forget_on_gone(r);
    r->link.on_gone = NULL;
    http_reply_drop(&r->link);
    return 0;
}

static const luaL_Reg methods[] = {
    {"finish", reply_finish}, {"gone", reply_gone},   {"in_group", reply_in_group},
    {"keep", reply_keep},     {"peer", reply_peer},   {"send", reply_send},
    {"stream", reply_stream}, {"write", reply_write}, {NULL, NULL},
};

void lua_reply_open(lua_State *L) {
    lua_class(L, REPLY, reply_gc, methods);
}
