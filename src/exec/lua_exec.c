#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "exec/child.h"
#include "exec/lua_options.h"
#include "host/host.h"
#include "util/lua_class.h"

#define HANDLE "host.exec.handle"
#define ROOM   "host.exec.room"

/* The userdata that Lua holds. Its environment table keeps the callbacks; while the child lives the
 * registry keeps the userdata. */
struct handle {
    struct exec_child *child; /* NULL when it is over */
    lua_State *L;             /* the main one */
    int self;                 /* reference in the registry */
    pid_t pid;                /* when it is over */
};

static struct handle *check_handle(lua_State *L) {
    return luaL_checkudata(L, 1, HANDLE);
}

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

static void set_error(lua_State *L, const struct exec_result *r) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, strerrorname_np(r->error));
    lua_setfield(L, -2, "code");
    lua_pushfstring(L, "%s: %s", r->step,
                    r->timed_out ? "its turn did not come in time" : strerror(r->error));
    lua_setfield(L, -2, "message");
    lua_pushstring(L, r->step);
    lua_setfield(L, -2, "step");
    lua_setfield(L, -2, "error");
}

/* May raise (no memory): called under host_call(). */
static int push_result(lua_State *L) {
    const struct exec_result *r = lua_touserdata(L, 1);
    lua_createtable(L, 0, 14);
    if (r->error) {
        set_error(L, r);
    }
    if (r->in_cgroup) {
        set_boolean(L, "cgroup", true);
    }
    if (r->memory_peak) {
        set_number(L, "memory_peak", (double)r->memory_peak);
    }
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
    h->pid = exec_pid(h->child);
    h->child = NULL;
    luaL_unref(h->L, LUA_REGISTRYINDEX, h->self);
}

static const struct exec_events events = {
    .frame = on_frame, .done = on_done, .gone = on_gone, .closed = on_closed};

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
    exec_read_options(L, 1, &o);
    const char *user = exec_string_option(L, 1, "user");
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
    return 1;
}

static int cgroups(lua_State *L) {
    struct exec_room **room = lua_touserdata(L, lua_upvalueindex(1));
    const struct cgroup_tree *tree = exec_cgroups(*room);
    if (!tree) {
        return 0;
    }
    lua_createtable(L, 0, 5);
    if (tree->dir[0]) {
        lua_pushstring(L, tree->dir);
        lua_setfield(L, -2, "directory");
    } else {
        lua_pushstring(L, tree->why);
        lua_setfield(L, -2, "why");
    }
    set_boolean(L, "memory", tree->memory);
    set_boolean(L, "cpu", tree->cpu);
    set_boolean(L, "processes", tree->pids);
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
    const struct handle *h = check_handle(L);
    pid_t pid = h->child ? exec_pid(h->child) : h->pid;
    if (pid <= 0) {
        return 0;
    }
    lua_pushinteger(L, pid);
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

static void close_room(void *ctx) {
    struct exec_room **room = ctx;
    if (*room) {
        exec_room_close(*room);
        *room = NULL;
    }
}

static int room_gc(lua_State *L) {
    host_of(L)->at_end = NULL;
    close_room(lua_touserdata(L, 1));
    return 0;
}

static const luaL_Reg methods[] = {
    {"end_send", handle_end_send}, {"kill", handle_kill}, {"pid", handle_pid},
    {"send", handle_send},         {NULL, NULL},
};

int luaopen_host_exec(lua_State *L);
int luaopen_host_exec(lua_State *L) {
    lua_class(L, HANDLE, NULL, methods);
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
    host_of(L)->at_end = close_room;
    host_of(L)->at_end_ctx = room;
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, run, 1);
    lua_setfield(L, -3, "run");
    lua_pushcclosure(L, cgroups, 1);
    lua_setfield(L, -2, "cgroups");
    return 1;
}
