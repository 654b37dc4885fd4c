#include "proc/lua_mounts.h"

#include <lauxlib.h>
#include <string.h>

#include "proc/mounts.h"

static void push_unescaped(lua_State *L, struct scan bytes, char *room) {
    size_t n = scan_left(&bytes);
    if (n == 0 || !memchr(bytes.at, '\\', n)) {
        lua_pushlstring(L, n ? bytes.at : "", n);
        return;
    }
    lua_pushlstring(L, room, proc_unescape(bytes, room));
}

int procfs_parse_mounts(lua_State *L) {
    size_t n = 0;
    const char *bytes = luaL_checklstring(L, 1, &n);
    char *room = lua_newuserdata(L, n ? n : 1); /* no word is longer, and Lua frees it */
    struct scan s = scan_bytes(bytes, n);
    struct proc_mount mount;
    lua_newtable(L);
    for (int i = 1; proc_mount_next(&s, &mount); i++) {
        lua_createtable(L, 0, 4);
        push_unescaped(L, mount.source, room);
        lua_setfield(L, -2, "source");
        push_unescaped(L, mount.mount, room);
        lua_setfield(L, -2, "mount");
        push_unescaped(L, mount.type, room);
        lua_setfield(L, -2, "type");
        push_unescaped(L, mount.options, room);
        lua_setfield(L, -2, "options");
        lua_rawseti(L, -2, i);
    }
    return 1;
}
