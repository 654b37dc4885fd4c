#include "exec/lua_options.h"

#include <lauxlib.h>
#include <signal.h>
#include <string.h>

#define CGROUP_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

enum { DEADLINE_MS = 60000, GRACE_MS = 1000, MAX_OUTPUT = 1024 * 1024 };

static const char *const limit_names[] = {"cpu_s",      "address_space", "processes",
                                          "open_files", "file_size",     "core"};
static const int limit_numbers[] = {RLIMIT_CPU,    RLIMIT_AS,    RLIMIT_NPROC,
                                    RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE};
_Static_assert(sizeof limit_numbers / sizeof limit_numbers[0] == SPAWN_LIMITS,
               "room for each limit");

static void bad_option(lua_State *L, const char *name, const char *expected) {
    luaL_error(L, "exec: option '%s' must be %s", name, expected);
}

/* Pushes options[name]; nil is left when it isn't there. */
static bool push_option(lua_State *L, int options, const char *name, int type,
                        const char *expected) {
    lua_getfield(L, options, name);
    if (lua_isnil(L, -1)) {
        return false;
    }
    if (lua_type(L, -1) != type) {
        bad_option(L, name, expected);
    }
    return true;
}

static double number_option(lua_State *L, int options, const char *name, double fallback) {
    double value = fallback;
    if (push_option(L, options, name, LUA_TNUMBER, "a number")) {
        value = lua_tonumber(L, -1);
        if (!(value >= 0 && value < 9e15)) {
            bad_option(L, name, "a number from 0 on");
        }
    }
    lua_pop(L, 1);
    return value;
}

const char *exec_string_option(lua_State *L, int options, const char *name) {
    const char *value = NULL;
    if (push_option(L, options, name, LUA_TSTRING, "a string")) {
        size_t len = 0;
        value = lua_tolstring(L, -1, &len);
        if (strlen(value) != len) {
            bad_option(L, name, "without a NUL byte");
        }
    }
    lua_pop(L, 1);
    return value;
}

/* Leaves the vector and a table that keeps its strings alive on the stack. */
static char **new_vector(lua_State *L, size_t n) {
    lua_createtable(L, (int)n, 0);
    char **vector = lua_newuserdata(L, (n + 1) * sizeof *vector);
    memset(vector, 0, (n + 1) * sizeof *vector);
    return vector;
}

/* Takes the string on the top of the stack into the vector whose keeper lies at `keeper`. */
static void keep_string(lua_State *L, char **vector, size_t at, int keeper, const char *name) {
    size_t len = 0;
    const char *s = lua_tolstring(L, -1, &len);
    if (!s || strlen(s) != len) {
        bad_option(L, name, "strings without a NUL byte");
    }
    vector[at] = (char *)s;
    lua_rawseti(L, keeper, (int)at + 1);
}

static char **argv_option(lua_State *L, int options) {
    if (!push_option(L, options, "argv", LUA_TTABLE, "an array")) {
        bad_option(L, "argv", "an array");
    }
    int list = lua_gettop(L);
    size_t n = lua_objlen(L, list);
    if (n == 0) {
        bad_option(L, "argv", "an array that is not empty");
    }
    char **argv = new_vector(L, n);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, (int)i + 1);
        keep_string(L, argv, i, list + 1, "argv");
    }
    return argv;
}

static size_t count_pairs(lua_State *L, int table) {
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        n++;
    }
    return n;
}

static char **env_option(lua_State *L, int options) {
    if (!push_option(L, options, "env", LUA_TTABLE, "a table")) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushliteral(L, "/usr/sbin:/usr/bin:/sbin:/bin");
        lua_setfield(L, -2, "PATH");
    }
    int map = lua_gettop(L);
    char **envp = new_vector(L, count_pairs(L, map));
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1)) {
            bad_option(L, "env", "a table of strings");
        }
        lua_pushvalue(L, -2);
        lua_pushliteral(L, "=");
        lua_pushvalue(L, -3);
        lua_concat(L, 3); /* not a format: a NUL must be seen */
        keep_string(L, envp, i++, map + 1, "env");
    }
    return envp;
}

/* true: that is all. A number of processes is a limit of the user's, too. */
static bool add_cgroup_limit(struct cgroup_limits *limits, const char *name, double value) {
    uint64_t whole = value < 9e15 ? (uint64_t)value : 0;
    if (strcmp(name, "memory") == 0) {
        limits->memory = whole;
        return true;
    }
    if (strcmp(name, "cpu") == 0) {
        limits->cpu = value < 9e12 ? (uint64_t)(value * 1000) : 0;
        return true;
    }
    if (strcmp(name, "processes") == 0) {
        limits->pids = whole;
    }
    return false;
}

static void add_limit(lua_State *L, struct exec_options *o) {
    struct spawn_plan *plan = &o->plan;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(value >= 0)) {
        bad_option(L, "limits", "a table of numbers");
    }
    if (add_cgroup_limit(&o->cgroup_limits, name, value)) {
        return;
    }
    for (size_t i = 0; i < SPAWN_LIMITS; i++) {
        if (strcmp(limit_names[i], name) == 0) {
            rlim_t limit = value < 9e15 ? (rlim_t)value : RLIM_INFINITY;
            plan->limits[plan->nlimits++] = (struct spawn_limit){limit_numbers[i], limit};
            return;
        }
    }
    luaL_error(L, "exec: unknown limit '%s'", name);
}

static void limits_option(lua_State *L, int options, struct exec_options *o) {
    if (push_option(L, options, "limits", LUA_TTABLE, "a table")) {
        int map = lua_gettop(L);
        for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1)) {
            add_limit(L, o);
        }
    }
    lua_pop(L, 1);
}

/* Becomes a part of a directory's name. */
static const char *cgroup_option(lua_State *L, int options) {
    const char *name = exec_string_option(L, options, "cgroup");
    if (name && (!*name || *name == '.' || strlen(name) > CGROUP_NAME - 16 ||
                 strspn(name, CGROUP_LETTERS) != strlen(name))) {
        bad_option(L, "cgroup", "a name of letters, digits, '_', '-' and '.'");
    }
    return name;
}

static bool flag_option(lua_State *L, int options, const char *name) {
    lua_getfield(L, options, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

void exec_read_options(lua_State *L, int options, struct exec_options *o) {
    *o = (struct exec_options){0};
    o->plan.argv = argv_option(L, options);
    o->plan.envp = env_option(L, options);
    o->plan.path = exec_string_option(L, options, "path");
    if (!o->plan.path) {
        o->plan.path = o->plan.argv[0];
    }
    if (!strchr(o->plan.path, '/')) {
        luaL_error(L, "exec: '%s' is no path: PATH is never searched", o->plan.path);
    }
    o->plan.cwd = exec_string_option(L, options, "cwd");
    limits_option(L, options, o);
    o->cgroup = cgroup_option(L, options);
    if (push_option(L, options, "stdin", LUA_TSTRING, "a string")) {
        o->input = lua_tolstring(L, -1, &o->input_len);
    }
    lua_pop(L, 1);
    o->channel = flag_option(L, options, "channel");
    o->plan.net_raw = flag_option(L, options, "net_raw");
    o->deadline_ms = (uint64_t)number_option(L, options, "deadline_ms", DEADLINE_MS);
    o->grace_ms = (uint64_t)number_option(L, options, "grace_ms", GRACE_MS);
    o->max_output = (size_t)number_option(L, options, "max_output", MAX_OUTPUT);
    /* Nobody else would end it when the agent is gone; a plugin may tidy up, a worker has nothing
     * to. */
    o->plan.death_signal = o->channel ? SIGKILL : SIGTERM;
}
