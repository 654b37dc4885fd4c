#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <lauxlib.h>
#include <net/if.h>
#include <string.h>

/* As text of RFC 5952, which is what inet_ntop() of glibc writes. */
static const char *text_of(const struct sockaddr *address, char *to, socklen_t size) {
    if (address->sa_family == AF_INET) {
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                         to, size);
    }
    return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, to,
                     size);
}

static void push_entry(lua_State *L, const struct ifaddrs *one, const char *ip) {
    lua_createtable(L, 0, 5);
    lua_pushstring(L, one->ifa_name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, ip);
    lua_setfield(L, -2, "ip");
    lua_pushinteger(L, (lua_Integer)if_nametoindex(one->ifa_name));
    lua_setfield(L, -2, "index");
    lua_pushboolean(L, (one->ifa_flags & IFF_UP) != 0);
    lua_setfield(L, -2, "up");
    lua_pushboolean(L, (one->ifa_flags & IFF_LOOPBACK) != 0);
    lua_setfield(L, -2, "loopback");
}

/* Under lua_pcall, so that the list is freed whatever raises. */
static int push_all(lua_State *L) {
    const struct ifaddrs *all = lua_touserdata(L, 1);
    lua_newtable(L);
    int n = 0;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        if ((family == AF_INET || family == AF_INET6) &&
            text_of(one->ifa_addr, text, sizeof text)) {
            push_entry(L, one, text);
            lua_rawseti(L, -2, ++n);
        }
    }
    return 1;
}

static int list(lua_State *L) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) {
        int error = errno;
        lua_pushnil(L);
        lua_pushstring(L, strerror(error));
        lua_pushstring(L, strerrorname_np(error));
        return 3;
    }
    lua_pushcfunction(L, push_all);
    lua_pushlightuserdata(L, all);
    int rc = lua_pcall(L, 1, 1, 0);
    freeifaddrs(all);
    return rc == 0 ? 1 : lua_error(L);
}

static const luaL_Reg functions[] = {{"list", list}, {NULL, NULL}};

int luaopen_host_addresses(lua_State *L);
int luaopen_host_addresses(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
