/* The module `git`: a shared object of its own, which only workers load. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git/repository.h"
#include "util/lua_class.h"

#define REPOSITORY "git.repository"

enum { MAX_REFSPECS = 8 };

struct holder {
    struct repository *repository; /* NULL once closed */
};

static int answer(lua_State *L, const struct repository_error *error) {
    lua_pushnil(L);
    lua_pushstring(L, error->why);
    lua_pushstring(L, error->code);
    return 3;
}

static int answer_errno(lua_State *L, const char *what, int error) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(error));
    lua_pushstring(L, strerrorname_np(error));
    return 3;
}

static struct repository *check_repository(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, REPOSITORY);
    luaL_argcheck(L, h->repository, 1, "the repository is closed");
    return h->repository;
}

/* Borrowed from the table at `at`, which keeps it alive. */
static const char *string_field(lua_State *L, int at, const char *name) {
    lua_getfield(L, at, name);
    const char *value = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return value;
}

static lua_Number number_field(lua_State *L, int at, const char *name) {
    lua_getfield(L, at, name);
    lua_Number value = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    luaL_argcheck(L, value >= 1 && value <= 1e15, at, name);
    return value;
}

static int setup(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    struct repository_error error;
    const struct repository_setup options = {
        .home = string_field(L, 1, "home"),
        .ca_file = string_field(L, 1, "ca_file"),
        .ca_dir = string_field(L, 1, "ca_dir"),
    };
    if (!repository_init(&options, &error)) {
        return answer(L, &error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int create(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct repository_error error;
    struct holder *h = lua_newuserdata(L, sizeof *h);
    h->repository = NULL;
    luaL_setmetatable(L, REPOSITORY);
    h->repository = repository_create(path, &error);
    return h->repository ? 1 : answer(L, &error);
}

static int head(lua_State *L) {
    char id[REPOSITORY_ID];
    struct repository_error error;
    if (!repository_head(luaL_checkstring(L, 1), id, &error)) {
        return answer(L, &error);
    }
    lua_pushstring(L, id);
    return 1;
}

static int connect_remote(lua_State *L) {
    struct repository *r = check_repository(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct repository_error error;
    const struct repository_remote remote = {
        .url = string_field(L, 2, "url"),
        .user = string_field(L, 2, "user"),
        .password = string_field(L, 2, "password"),
        .key = string_field(L, 2, "key"),
        .max_bytes = (uint64_t)number_field(L, 2, "max_bytes"),
    };
    luaL_argcheck(L, remote.url, 2, "url expected");
    if (!repository_connect(r, &remote, &error)) {
        return answer(L, &error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* What a walk through a repository fills: a table on top of the stack. Out of memory ends the
 * worker's errand by an error raised through libgit2, which is no loss: the process ends with it.
 */
struct list {
    lua_State *L;
    int count;
};

static void add_ref(void *ctx, const char *name, const char *id, const char *target) {
    struct list *list = ctx;
    lua_createtable(list->L, 0, 3);
    lua_pushstring(list->L, name);
    lua_setfield(list->L, -2, "name");
    lua_pushstring(list->L, id);
    lua_setfield(list->L, -2, "id");
    lua_pushstring(list->L, target); /* nil for NULL */
    lua_setfield(list->L, -2, "target");
    lua_rawseti(list->L, -2, ++list->count);
}

static int refs(lua_State *L) {
    struct repository *r = check_repository(L);
    struct repository_error error;
    struct list list = {L, 0};
    lua_newtable(L);
    return repository_refs(r, add_ref, &list, &error) ? 1 : answer(L, &error);
}

static int fetch(lua_State *L) {
    struct repository *r = check_repository(L);
    char *refspecs[MAX_REFSPECS];
    struct repository_error error;
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t count = lua_objlen(L, 2);
    luaL_argcheck(L, count >= 1 && count <= MAX_REFSPECS, 2, "one to eight refspecs expected");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        refspecs[i] = (char *)luaL_checkstring(L, -1); /* stays on the stack */
    }
    if (!repository_fetch(r, refspecs, count, lua_toboolean(L, 3), &error)) {
        return answer(L, &error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int commit(lua_State *L) {
    struct repository *r = check_repository(L);
    char id[REPOSITORY_ID];
    struct repository_error error;
    if (!repository_commit(r, luaL_checkstring(L, 2), id, &error)) {
        return answer(L, &error);
    }
    lua_pushstring(L, id);
    return 1;
}

static void add_entry(void *ctx, const struct repository_entry *entry) {
    struct list *list = ctx;
    lua_createtable(list->L, 0, 4);
    lua_pushstring(list->L, entry->path);
    lua_setfield(list->L, -2, "path");
    lua_pushstring(list->L, entry->id);
    lua_setfield(list->L, -2, "id");
    lua_pushinteger(list->L, (lua_Integer)entry->mode);
    lua_setfield(list->L, -2, "mode");
    lua_pushnumber(list->L, (lua_Number)entry->size);
    lua_setfield(list->L, -2, "size");
    lua_rawseti(list->L, -2, ++list->count);
}

static int entries(lua_State *L) {
    struct repository *r = check_repository(L);
    const char *id = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    const struct repository_limits limits = {
        .max_bytes = (uint64_t)number_field(L, 3, "max_bytes"),
        .max_entries = (size_t)number_field(L, 3, "max_entries"),
        .max_depth = (size_t)number_field(L, 3, "max_depth"),
    };
    struct repository_error error;
    struct list list = {L, 0};
    lua_newtable(L);
    return repository_walk(r, id, &limits, add_entry, &list, &error) ? 1 : answer(L, &error);
}

static bool push_bytes(void *ctx, const void *bytes, size_t len) {
    lua_pushlstring(ctx, bytes, len);
    return true;
}

static int blob(lua_State *L) {
    struct repository *r = check_repository(L);
    struct repository_error error;
    return repository_blob(r, luaL_checkstring(L, 2), push_bytes, L, &error) ? 1
                                                                             : answer(L, &error);
}

/* A file that is open for writing, and the errno of what went wrong. */
struct target {
    int fd;
    int error;
};

static bool write_bytes(void *ctx, const void *bytes, size_t len) {
    struct target *t = ctx;
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(t->fd, at, len);
        if (n < 0 && errno != EINTR) {
            t->error = errno;
            return false;
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static int save(lua_State *L) {
    struct repository *r = check_repository(L);
    const char *id = luaL_checkstring(L, 2), *path = luaL_checkstring(L, 3);
    mode_t mode = (mode_t)luaL_checkinteger(L, 4) & 0777;
    struct repository_error error;
    struct target t = {open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode), 0};
    if (t.fd < 0) {
        return answer_errno(L, path, errno);
    }
    bool ok = repository_blob(r, id, write_bytes, &t, &error);
    if (ok && fchmod(t.fd, mode) != 0) { /* whatever the umask is */
        t.error = errno;
    }
    if (close(t.fd) != 0 && t.error == 0) {
        t.error = errno;
    }
    if (t.error) {
        return answer_errno(L, path, t.error);
    }
    if (!ok) {
        return answer(L, &error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int close_repository(lua_State *L) {
    struct holder *h = luaL_checkudata(L, 1, REPOSITORY);
    repository_free(h->repository);
    h->repository = NULL;
    return 0;
}

/* What was written below `path` is on the disk afterwards, before anything points to it. */
static int sync_tree(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return answer_errno(L, path, errno);
    }
    int error = syncfs(fd) == 0 ? 0 : errno;
    close(fd);
    if (error) {
        return answer_errno(L, path, error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Two names change places at one instant. */
static int exchange(lua_State *L) {
    const char *a = luaL_checkstring(L, 1), *b = luaL_checkstring(L, 2);
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0) {
        return answer_errno(L, a, errno);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg methods[] = {{"blob", blob},       {"close", close_repository},
                                   {"commit", commit},   {"connect", connect_remote},
                                   {"entries", entries}, {"fetch", fetch},
                                   {"refs", refs},       {"save", save},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"create", create}, {"exchange", exchange}, {"head", head},
                                     {"setup", setup},   {"sync", sync_tree},    {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_git(lua_State *L);
int luaopen_git(lua_State *L) {
    lua_class(L, REPOSITORY, close_repository, methods);
    luaL_newlib(L, functions);
    return 1;
}
