#include <lauxlib.h>
#include <string.h>

#include "http/response.h"
#include "util/lua_class.h"

#define RESPONSE "host.http_response.response"

enum { SLICE = 32 * 1024 };

static struct http_response *check_response(lua_State *L) {
    return luaL_checkudata(L, 1, RESPONSE);
}

static int new_response(lua_State *L) {
    struct http_response *r = lua_newuserdata(L, sizeof *r);
    http_response_init(r);
    luaL_setmetatable(L, RESPONSE);
    return 1;
}

static int refuse(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushliteral(L, "EPROTO");
    return 3;
}

static int feed(lua_State *L) {
    struct http_response *r = check_response(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    luaL_Buffer body;
    luaL_buffinit(L, &body);
    enum http_progress progress = r->complete ? HTTP_COMPLETE : HTTP_MORE;
    for (size_t at = 0; at < len; at += SLICE) {
        progress = http_response_feed(r, bytes + at, len - at < SLICE ? len - at : SLICE);
        if (progress == HTTP_MALFORMED) {
            return refuse(L, "not an HTTP response");
        }
        if (r->body.len) {
            luaL_addlstring(&body, r->body.data, r->body.len);
        }
        http_response_taken(r);
    }
    luaL_pushresult(&body);
    lua_pushboolean(L, progress == HTTP_COMPLETE);
    return 2;
}

static int finish(lua_State *L) {
    if (http_response_finish(check_response(L)) != HTTP_COMPLETE) {
        return refuse(L, "the answer is cut off");
    }
    lua_pushboolean(L, true);
    return 1;
}

static int status(lua_State *L) {
    lua_pushinteger(L, check_response(L)->status);
    return 1;
}

static int collect(lua_State *L) {
    http_response_free(check_response(L));
    return 0;
}

static const luaL_Reg methods[] = {
    {"feed", feed},
    {"finish", finish},
    {"status", status},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new", new_response},
    {NULL, NULL},
};

int luaopen_host_http_response(lua_State *L);
int luaopen_host_http_response(lua_State *L) {
    lua_class(L, RESPONSE, collect, methods);
    luaL_newlib(L, functions);
    return 1;
}
