#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "util/lua_class.h"
#include "util/pidfile.h"

static const char type_name[] = "host.pidfile.lock";

struct lock {
    int fd;     /* -1: released */
    char *path; /* owned */
};

static struct lock *check_lock(lua_State *L) {
    return luaL_checkudata(L, 1, type_name);
}

static int refused(lua_State *L, const char *message, const char *code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

static int from_errno(lua_State *L) {
    int rc = uv_translate_sys_error(errno);
    return refused(L, uv_strerror(rc), uv_err_name(rc));
}

static int held_by(lua_State *L, pid_t pid) {
    lua_pushnil(L);
    if (pid > 0) {
        lua_pushfstring(L, "held by pid %d", (int)pid);
    } else {
        lua_pushliteral(L, "held by a process that is just starting");
    }
    lua_pushliteral(L, "HELD");
    return 3;
}

static int no_holder(lua_State *L, enum pidfile_answer answer) {
    switch (answer) {
    case PIDFILE_ABSENT:
        return refused(L, "no such pid file: not running", "ENOENT");
    case PIDFILE_STALE:
        return refused(L, "stale pid file: nobody holds its lock, not running", "STALE");
    case PIDFILE_HELD:
        return held_by(L, 0);
    default:
        return from_errno(L);
    }
}

static int acquire(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct lock *lock = lua_newuserdata(L, sizeof *lock);
    *lock = (struct lock){.fd = -1};
    luaL_setmetatable(L, type_name);
    lock->path = strdup(path);
    if (!lock->path) {
        return luaL_error(L, "no memory");
    }
    pid_t pid = 0;
    int fd = -1;
    enum pidfile_answer answer = pidfile_acquire(path, &fd, &pid);
    if (answer == PIDFILE_OK) {
        lock->fd = fd;
        return 1;
    }
    return answer == PIDFILE_HELD ? held_by(L, pid) : from_errno(L);
}

static int release(lua_State *L) {
    struct lock *lock = check_lock(L);
    if (lock->fd >= 0) {
        pidfile_release(lock->path, lock->fd);
        lock->fd = -1;
    }
    return 0;
}

static int collect(lua_State *L) {
    struct lock *lock = check_lock(L);
    release(L);
    free(lock->path);
    lock->path = NULL;
    return 0;
}

static int holder(lua_State *L) {
    pid_t pid = 0;
    enum pidfile_answer answer = pidfile_holder(luaL_checkstring(L, 1), &pid);
    if (answer != PIDFILE_HELD || pid == 0) {
        return no_holder(L, answer);
    }
    lua_pushinteger(L, pid);
    return 1;
}

static int stop(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    int deadline_ms = (int)luaL_optinteger(L, 2, 10000);
    luaL_argcheck(L, deadline_ms >= 0 && deadline_ms <= 600000, 2, "milliseconds up to 10 min");
    pid_t pid = 0;
    enum pidfile_answer answer = PIDFILE_OK;
    switch (pidfile_stop(path, SIGTERM, deadline_ms, &pid, &answer)) {
    case PIDFILE_STOPPED:
        lua_pushinteger(L, pid);
        return 1;
    case PIDFILE_NOT_RUNNING:
        return no_holder(L, answer);
    case PIDFILE_NO_SIGNAL:
        return from_errno(L);
    default:
        lua_pushnil(L);
        lua_pushfstring(L, "pid %d did not end within %d ms", (int)pid, deadline_ms);
        lua_pushliteral(L, "TIMEOUT");
        return 3;
    }
}

static const luaL_Reg methods[] = {
    {"release", release},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"acquire", acquire},
    {"holder", holder},
    {"stop", stop},
    {NULL, NULL},
};

int luaopen_host_pidfile(lua_State *L);
int luaopen_host_pidfile(lua_State *L) {
    lua_class(L, type_name, collect, methods);
    luaL_newlib(L, functions);
    return 1;
}
