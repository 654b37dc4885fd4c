#include <lauxlib.h>
#include <string.h>

#include "fs/beneath.h"
#include "fs/probe.h"

enum { PART_MAX = 4 * 1024 * 1024 };

static int answer(lua_State *L, int error) {
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    lua_pushstring(L, strerrorname_np(error));
    return 3;
}

static void set_count(lua_State *L, const char *name, fsblkcnt_t value) {
    lua_pushnumber(L, (lua_Number)value);
    lua_setfield(L, -2, name);
}

static int usage(lua_State *L) {
    struct statvfs st;
    int error = fs_usage(luaL_checkstring(L, 1), &st);
    if (error) {
        return answer(L, error);
    }
    lua_createtable(L, 0, 6);
    set_count(L, "frsize", st.f_frsize);
    set_count(L, "blocks", st.f_blocks);
    set_count(L, "bfree", st.f_bfree);
    set_count(L, "bavail", st.f_bavail);
    set_count(L, "files", st.f_files);
    set_count(L, "ffree", st.f_ffree);
    return 1;
}

static int list(lua_State *L) {
    return answer(L, fs_list(luaL_checkstring(L, 1)));
}

static int probe_write(lua_State *L) {
    size_t len = 0;
    const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
    const char *text = luaL_checklstring(L, 3, &len);
    luaL_argcheck(L, !strchr(name, '/'), 2, "a name without slash expected");
    return answer(L, fs_write(path, name, text, len));
}

static int read_beneath(lua_State *L) {
    const char *root = luaL_checkstring(L, 1);
    const char *path = luaL_checkstring(L, 2);
    lua_Number offset = luaL_checknumber(L, 3);
    lua_Number max = luaL_checknumber(L, 4);
    luaL_argcheck(L, offset >= 0 && offset <= 9007199254740992.0, 3, "not an offset");
    luaL_argcheck(L, max >= 1 && max <= PART_MAX, 4, "1 to 4 MiB expected");
    char *bytes = lua_newuserdata(L, (size_t)max);
    struct fs_part part;
    int error = fs_read_beneath(root, path, (uint64_t)offset, bytes, (size_t)max, &part);
    if (error) {
        return answer(L, error);
    }
    lua_pushlstring(L, bytes, (size_t)part.len);
    lua_pushnumber(L, (lua_Number)part.size);
    return 2;
}

static const luaL_Reg functions[] = {
    {"list", list}, {"read_beneath", read_beneath}, {"usage", usage}, {"write", probe_write},
    {NULL, NULL},
};

int luaopen_host_fs(lua_State *L);
int luaopen_host_fs(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
