#include <lauxlib.h>

#include "proc/ntp.h"

static const uint8_t *check_cookie(lua_State *L, int arg) {
    size_t len;
    const char *cookie = luaL_checklstring(L, arg, &len);
    luaL_argcheck(L, len == NTP_COOKIE, arg, "a cookie has 8 bytes");
    return (const uint8_t *)cookie;
}

static int request(lua_State *L) {
    uint8_t packet[NTP_PACKET];
    ntp_request(packet, check_cookie(L, 1));
    lua_pushlstring(L, (const char *)packet, sizeof packet);
    return 1;
}

static const struct {
    const char *code;
    const char *message;
} refusals[] = {
    [NTP_GOOD] = {NULL, NULL},
    [NTP_SHORT] = {"short", "fewer than 48 bytes"},
    [NTP_NOT_A_REPLY] = {"not_a_reply", "not an NTP server's answer"},
    [NTP_STRANGER] = {"stranger", "not an answer to our request"},
    [NTP_KISS] = {"kiss", NULL},
    [NTP_UNSYNCHRONIZED] = {"unsynchronized", "the server's own clock isn't synchronized"},
    [NTP_INSANE] = {"insane", "times or distances that make no sense"},
};

static int judge(lua_State *L) {
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    const uint8_t *cookie = check_cookie(L, 2);
    double sent = luaL_checknumber(L, 3);
    double elapsed = luaL_checknumber(L, 4);
    luaL_argcheck(L, sent >= 0 && sent < 1e12, 3, "not a time in unix seconds");
    luaL_argcheck(L, elapsed >= 0, 4, "a negative time");
    struct ntp_sample sample;
    enum ntp_verdict verdict =
        ntp_judge((const uint8_t *)bytes, len, cookie, sent, elapsed, &sample);
    if (verdict != NTP_GOOD) {
        lua_pushnil(L);
        lua_pushstring(L, verdict == NTP_KISS ? sample.kiss : refusals[verdict].message);
        lua_pushstring(L, refusals[verdict].code);
        return 3;
    }
    lua_createtable(L, 0, 3);
    lua_pushnumber(L, sample.offset);
    lua_setfield(L, -2, "offset");
    lua_pushnumber(L, sample.delay);
    lua_setfield(L, -2, "delay");
    lua_pushinteger(L, (lua_Integer)sample.stratum);
    lua_setfield(L, -2, "stratum");
    return 1;
}

static const luaL_Reg functions[] = {
    {"judge", judge},
    {"request", request},
    {NULL, NULL},
};

int luaopen_host_ntp(lua_State *L);
int luaopen_host_ntp(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
