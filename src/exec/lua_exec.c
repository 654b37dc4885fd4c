#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "exec/child.h"
#include "host/host.h"

#define HANDLE "host.exec.handle"
#define ROOM   "host.exec.room"

enum { DEADLINE_MS = 60000, GRACE_MS = 1000, MAX_OUTPUT = 1024 * 1024 };

/* The userdata that Lua holds. Its environment table keeps the callbacks; while the child lives the
 * registry keeps the userdata. */
struct handle {
    struct exec_child *child; /* NULL when it is over */
    lua_State *L;             /* the main one */
    int self;                 /* reference in the registry */
    pid_t pid;
};

static struct handle *check_handle(lua_State *L) {
    return luaL_checkudata(L, 1, HANDLE);
}

/* --- events --- */

/* Pushes the callback and the userdata's place is left clean; false: there is none. */
static bool push_callback(const struct handle *h, const char *name) {
    lua_State *L = h->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->self);
    lua_getfenv(L, -1);
    lua_getfield(L, -1, name);
    lua_replace(L, -3);
    lua_pop(L, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, const struct buffer *b) {
    lua_pushlstring(L, b->data ? b->data : "", b->len);
    lua_setfield(L, -2, name);
}

static double milliseconds(struct timeval t) {
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* May raise (no memory): called under host_call(). */
static int push_result(lua_State *L) {
    const struct exec_result *r = lua_touserdata(L, 1);
    lua_createtable(L, 0, 11);
    if (!r->stuck) {
        set_number(L, "code", r->code);
        set_number(L, "signal", r->signal);
    }
    set_boolean(L, "timed_out", r->timed_out);
    set_boolean(L, "truncated", r->truncated);
    set_boolean(L, "stuck", r->stuck);
    set_boolean(L, "bad_frame", r->bad_frame);
    set_bytes(L, "stdout", r->out);
    set_bytes(L, "stderr", r->err);
    set_number(L, "duration_ms", (double)r->duration_ns / 1e6);
    lua_createtable(L, 0, 3);
    set_number(L, "user_ms", milliseconds(r->usage.ru_utime));
    set_number(L, "system_ms", milliseconds(r->usage.ru_stime));
    set_number(L, "maxrss", (double)r->usage.ru_maxrss * 1024);
    lua_setfield(L, -2, "rusage");
    return 1;
}

static void on_done(void *ctx, const struct exec_result *result) {
    struct handle *h = ctx;
    if (!push_callback(h, "callback")) {
        return;
    }
    lua_pushcfunction(h->L, push_result);
    lua_pushlightuserdata(h->L, (void *)result);
    if (!host_call(h->L, 1, 1)) {
        lua_pop(h->L, 1);
        return;
    }
    host_call(h->L, 1, 0);
}

/* callback(bytes); the string itself is made under protection too. */
static int call_with_bytes(lua_State *L) {
    lua_pushlstring(L, lua_touserdata(L, 2), (size_t)lua_tonumber(L, 3));
    lua_replace(L, 2);
    lua_settop(L, 2);
    lua_call(L, 1, 0);
    return 0;
}

static void on_frame(void *ctx, const char *bytes, size_t len) {
    struct handle *h = ctx;
    lua_pushcfunction(h->L, call_with_bytes);
    if (!push_callback(h, "on_frame")) {
        lua_pop(h->L, 1);
        return;
    }
    lua_pushlightuserdata(h->L, (void *)bytes);
    lua_pushnumber(h->L, (lua_Number)len);
    host_call(h->L, 3, 0);
}

static void on_gone(void *ctx) {
    struct handle *h = ctx;
    if (push_callback(h, "on_gone")) {
        host_call(h->L, 0, 0);
    }
}

static void on_closed(void *ctx) {
    struct handle *h = ctx;
    h->child = NULL;
    luaL_unref(h->L, LUA_REGISTRYINDEX, h->self);
}

static const struct exec_events events = {
    .frame = on_frame, .done = on_done, .gone = on_gone, .closed = on_closed};

/* --- options --- */

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

/* A string without NUL that stays alive in the options table. */
static const char *string_option(lua_State *L, int options, const char *name) {
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

static void add_limit(lua_State *L, struct spawn_plan *plan) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(value >= 0)) {
        bad_option(L, "limits", "a table of numbers");
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

static void limits_option(lua_State *L, int options, struct spawn_plan *plan) {
    if (push_option(L, options, "limits", LUA_TTABLE, "a table")) {
        int map = lua_gettop(L);
        for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1)) {
            add_limit(L, plan);
        }
    }
    lua_pop(L, 1);
}

static bool flag_option(lua_State *L, int options, const char *name) {
    lua_getfield(L, options, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static void read_options(lua_State *L, int options, struct exec_options *o) {
    *o = (struct exec_options){0};
    o->plan.argv = argv_option(L, options);
    o->plan.envp = env_option(L, options);
    o->plan.path = string_option(L, options, "path");
    if (!o->plan.path) {
        o->plan.path = o->plan.argv[0];
    }
    if (!strchr(o->plan.path, '/')) {
        luaL_error(L, "exec: '%s' is no path: PATH is never searched", o->plan.path);
    }
    o->plan.cwd = string_option(L, options, "cwd");
    limits_option(L, options, &o->plan);
    if (push_option(L, options, "stdin", LUA_TSTRING, "a string")) {
        o->input = lua_tolstring(L, -1, &o->input_len);
    }
    lua_pop(L, 1);
    o->channel = flag_option(L, options, "channel");
    o->deadline_ms = (uint64_t)number_option(L, options, "deadline_ms", DEADLINE_MS);
    o->grace_ms = (uint64_t)number_option(L, options, "grace_ms", GRACE_MS);
    o->max_output = (size_t)number_option(L, options, "max_output", MAX_OUTPUT);
    /* Nobody else would end it when the agent is gone; a plugin may tidy up, a worker has nothing
     * to. */
    o->plan.death_signal = o->channel ? SIGKILL : SIGTERM;
}

/* --- functions --- */

static int refuse(lua_State *L, const char *path, const char *step, int error) {
    lua_pushnil(L);
    lua_pushfstring(L, "cannot start %s: %s: %s", path, step, strerror(error));
    lua_pushstring(L, strerrorname_np(error));
    return 3;
}

/* The handle, with its callbacks, on the top of the stack. */
static struct handle *new_handle(lua_State *L, int options) {
    struct handle *h = lua_newuserdata(L, sizeof *h);
    *h = (struct handle){.L = host_of(L)->L, .self = LUA_NOREF};
    luaL_getmetatable(L, HANDLE);
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "callback");
    lua_getfield(L, options, "on_frame");
    lua_setfield(L, -2, "on_frame");
    lua_getfield(L, options, "on_gone");
    lua_setfield(L, -2, "on_gone");
    lua_setfenv(L, -2);
    return h;
}

static int run(lua_State *L) {
    struct exec_options o;
    int error = 0;
    const char *step = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct exec_room **room = lua_touserdata(L, lua_upvalueindex(1));
    read_options(L, 1, &o);
    const char *user = string_option(L, 1, "user");
    if (user) {
        o.plan.as_user = true;
        if (!spawn_find_user(user, &o.plan.uid, &o.plan.gid)) {
            return refuse(L, o.plan.path, lua_pushfstring(L, "user '%s'", user), ENOENT);
        }
    }
    struct handle *h = new_handle(L, 1);
    lua_pushvalue(L, -1);
    h->self = luaL_ref(L, LUA_REGISTRYINDEX);
    h->child = exec_start(*room, &o, &events, h, &error, &step);
    if (!h->child) {
        luaL_unref(L, LUA_REGISTRYINDEX, h->self);
        return refuse(L, o.plan.path, step, error);
    }
    h->pid = exec_pid(h->child);
    return 1;
}

static int handle_kill(lua_State *L) {
    struct handle *h = check_handle(L);
    const char *how = luaL_optstring(L, 2, "TERM");
    luaL_argcheck(L, strcmp(how, "TERM") == 0 || strcmp(how, "KILL") == 0, 2,
                  "TERM or KILL expected");
    if (h->child) {
        exec_kill(h->child, how[0] == 'K');
    }
    return 0;
}

static int handle_pid(lua_State *L) {
    lua_pushinteger(L, check_handle(L)->pid);
    return 1;
}

static int handle_send(lua_State *L) {
    struct handle *h = check_handle(L);
    size_t len = 0;
    const char *bytes = luaL_checklstring(L, 2, &len);
    int error = h->child ? exec_send(h->child, bytes, len) : EPIPE;
    if (error) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(error));
        lua_pushstring(L, strerrorname_np(error));
        return 3;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int handle_end_send(lua_State *L) {
    struct handle *h = check_handle(L);
    if (h->child) {
        exec_end_send(h->child);
    }
    return 0;
}

static int room_gc(lua_State *L) {
    struct exec_room **room = lua_touserdata(L, 1);
    if (*room) {
        exec_room_close(*room);
        *room = NULL;
    }
    return 0;
}

static const luaL_Reg methods[] = {
    {"end_send", handle_end_send}, {"kill", handle_kill}, {"pid", handle_pid},
    {"send", handle_send},         {NULL, NULL},
};

int luaopen_host_exec(lua_State *L);
int luaopen_host_exec(lua_State *L) {
    luaL_newmetatable(L, HANDLE);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    struct exec_room **room = lua_newuserdata(L, sizeof(struct exec_room *));
    *room = NULL;
    luaL_newmetatable(L, ROOM);
    lua_pushcfunction(L, room_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *room = exec_room_open(&host_of(L)->loop);
    if (!*room) {
        return luaL_error(L, "exec: no memory");
    }
    lua_pushcclosure(L, run, 1);
    lua_setfield(L, -2, "run");
    return 1;
}
