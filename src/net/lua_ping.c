#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "net/ping.h"
#include "util/lua_class.h"

#define PING "host.ping.sockets"

static struct ping *check_ping(lua_State *L) {
    return luaL_checkudata(L, 1, PING);
}

static int check_family(lua_State *L) {
    int family = (int)luaL_checkinteger(L, 2);
    luaL_argcheck(L, family == 4 || family == 6, 2, "4 or 6");
    return family == 4 ? 0 : 1;
}

static int refuse(lua_State *L, int error) {
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    lua_pushstring(L, strerrorname_np(error));
    return 3;
}

static int open_sockets(lua_State *L) {
    struct ping *p = lua_newuserdata(L, sizeof *p);
    *p = (struct ping){.fds = {-1, -1}};
    luaL_setmetatable(L, PING);
    return ping_open(p) ? 1 : refuse(L, errno);
}

static int fd(lua_State *L) {
    int number = check_ping(L)->fds[check_family(L)];
    if (number < 0) {
        return 0;
    }
    lua_pushinteger(L, number);
    return 1;
}

static int send_echo(lua_State *L) {
    lua_Integer seq = luaL_checkinteger(L, 3);
    luaL_argcheck(L, seq >= 0 && seq <= UINT16_MAX, 3, "0 to 65535");
    int error = ping_send(check_ping(L), luaL_checkstring(L, 2), (uint16_t)seq);
    if (error) {
        return refuse(L, error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int receive(lua_State *L) {
    struct ping_answer answer;
    if (!ping_receive(check_ping(L), check_family(L), &answer)) {
        return 0;
    }
    lua_pushinteger(L, answer.seq);
    lua_pushnumber(L, answer.seconds);
    return 2;
}

static int close_sockets(lua_State *L) {
    ping_close(check_ping(L));
    return 0;
}

static const luaL_Reg methods[] = {
    {"close", close_sockets}, {"fd", fd}, {"receive", receive}, {"send", send_echo}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"open", open_sockets}, {NULL, NULL}};

int luaopen_host_ping(lua_State *L);
int luaopen_host_ping(lua_State *L) {
    lua_class(L, PING, close_sockets, methods);
    luaL_newlib(L, functions);
    return 1;
}
