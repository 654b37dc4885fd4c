#include "proc/lua_sweep.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "proc/lua_tables.h"
#include "proc/sweep.h"
#include "util/clock.h"
#include "util/lua_class.h"

#define SWEEP "host.procfs.sweep"

static struct proc_sweep **slot(lua_State *L, int arg) {
    return luaL_checkudata(L, arg, SWEEP);
}

static struct proc_sweep *check_sweep(lua_State *L, int arg) {
    struct proc_sweep *s = *slot(L, arg);
    luaL_argcheck(L, s, arg, "sweep is closed");
    return s;
}

static int fail(lua_State *L, int error) {
    lua_pushnil(L);
    lua_pushfstring(L, "processes: %s", uv_strerror(error));
    lua_pushstring(L, uv_err_name(error));
    return 3;
}

/* The strings stay the list's. */
static void take_paths(lua_State *L, struct proc_path *paths, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "a path must be a string");
        paths[i].bytes = lua_tolstring(L, -1, &paths[i].len);
        luaL_argcheck(L, paths[i].len <= PROC_SWEEP_PATH, 2, "a path is too long");
        lua_pop(L, 1);
    }
}

int procfs_sweep_open(lua_State *L, int root) {
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t count = lua_objlen(L, 2);
    luaL_argcheck(L, count <= PROC_SWEEP_PATHS, 2, "too many paths");
    struct proc_path *paths = lua_newuserdata(L, (count + 1) * sizeof *paths);
    take_paths(L, paths, count);
    struct proc_sweep **s = lua_newuserdata(L, sizeof(void *));
    *s = NULL;
    luaL_setmetatable(L, SWEEP);
    int error = 0;
    *s = proc_sweep_open(root, paths, count, &error);
    return *s ? 1 : fail(L, error);
}

static int sweep_step(lua_State *L) {
    struct proc_sweep *s = check_sweep(L, 1);
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 0 && ms <= 1e6, 2, "milliseconds, up to 1e6");
    int rc = proc_sweep_step(s, clock_mono_ns() + (uint64_t)(ms * 1e6));
    if (rc < 0) {
        return fail(L, rc);
    }
    lua_pushboolean(L, rc);
    return 1;
}

static size_t check_path(lua_State *L) {
    lua_Integer number = luaL_checkinteger(L, 2);
    luaL_argcheck(L, number >= 1 && number <= PROC_SWEEP_PATHS, 2, "number of a path");
    return (size_t)number - 1;
}

static int sweep_pids(lua_State *L) {
    struct proc_sweep *s = check_sweep(L, 1);
    size_t count = 0;
    const struct proc_match *matches = proc_sweep_matches(s, check_path(L), &count);
    lua_createtable(L, (int)(2 * count), 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, matches[i].pid);
        lua_rawseti(L, -2, (int)(2 * i) + 1);
        lua_pushnumber(L, (lua_Number)matches[i].start);
        lua_rawseti(L, -2, (int)(2 * i) + 2);
    }
    return 1;
}

static void push_sums(lua_State *L, const struct proc_sums *sums) {
    lua_createtable(L, 0, 8);
    tables_set_number(L, "processes", sums->processes);
    tables_set_number(L, "deleted", sums->deleted);
    tables_set_number(L, "resident", sums->pages * (uint64_t)sysconf(_SC_PAGESIZE));
    if (sums->no_fds == 0) {
        tables_set_number(L, "fds", sums->fds);
    }
    if (sums->measured > 0) {
        tables_set_number(L, "ticks", sums->ticks);
    }
    if (sums->io_measured > 0 && sums->no_io == 0) {
        tables_set_number(L, "read", sums->read);
        tables_set_number(L, "written", sums->written);
    }
    tables_set_number(L, "no_fds", sums->no_fds);
    tables_set_number(L, "no_io", sums->no_io);
}

static bool chosen(lua_State *L, int pid) {
    if (!lua_istable(L, 4)) {
        return true;
    }
    lua_rawgeti(L, 4, pid);
    bool yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

static int sweep_sum(lua_State *L) {
    struct proc_sweep *s = check_sweep(L, 1);
    size_t path = check_path(L);
    const struct proc_sweep *earlier = lua_isnoneornil(L, 3) ? NULL : check_sweep(L, 3);
    lua_settop(L, 4);
    size_t count = 0;
    const struct proc_match *matches = proc_sweep_matches(s, path, &count);
    struct proc_sums sums = {0};
    for (size_t i = 0; i < count; i++) {
        if (chosen(L, matches[i].pid)) {
            proc_sums_add(&sums, &matches[i],
                          earlier ? proc_sweep_before(earlier, s, &matches[i]) : NULL);
        }
    }
    push_sums(L, &sums);
    return 1;
}

static int sweep_hidden(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)proc_sweep_hidden(check_sweep(L, 1)));
    return 1;
}

static int sweep_close(lua_State *L) {
    struct proc_sweep **s = slot(L, 1);
    if (*s) {
        proc_sweep_close(*s);
    }
    *s = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"close", sweep_close}, {"hidden", sweep_hidden}, {"pids", sweep_pids},
    {"step", sweep_step},   {"sum", sweep_sum},       {NULL, NULL},
};

void procfs_sweep_register(lua_State *L) {
    lua_class(L, SWEEP, sweep_close, methods);
}
