#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "host/host.h"
#include "spool/lua_segment.h"
#include "spool/segment.h"
#include "spool/store.h"
#include "util/lua_class.h"

#define STORE "host.spool.store"

enum kind { OPEN, LIST, COMMIT, READ, REMOVE, PUT_AWAY, CLOSE };

struct handle {
    struct store store;
    bool busy; /* an operation is under way: the store is its */
};

/* One operation: made on the loop, done by a thread of libuv's pool, answered on the loop. */
struct operation {
    uv_work_t work;
    lua_State *L; /* the main state */
    int callback; /* registry references */
    int self;
    struct handle *handle;
    enum kind kind;
    char name[STORE_NAME];
    uint64_t offset;
    bool count;
    struct buffer bytes; /* owned */
    struct store_listing listing;
    int error;
    pid_t holder;
    uint64_t messages;
};

static struct handle *check_store(lua_State *L) {
    return luaL_checkudata(L, 1, STORE);
}

/* How many messages go with a file; none in one that can't be read. */
static uint64_t count_messages(struct store *s, const char *name) {
    struct buffer bytes;
    struct segment_record record;
    uint64_t count = 0;
    size_t at = SEGMENT_HEAD;
    if (store_read(s, name, &bytes) == 0) {
        while (segment_next(bytes.data, bytes.len, &at, &record) == SEGMENT_RECORD) {
            count++;
        }
        buffer_free(&bytes);
    }
    return count;
}

static int open_store(struct store *s, struct operation *op) {
    int why = store_open(s, &op->holder);
    return why ? why : store_list(s, true, &op->listing);
}

/* In a thread of the pool. */
static void work(uv_work_t *request) {
    struct operation *op = request->data;
    struct store *s = &op->handle->store;
    switch (op->kind) {
    case OPEN:
        op->error = open_store(s, op);
        break;
    case LIST:
        op->error = store_list(s, false, &op->listing);
        break;
    case COMMIT:
        op->error = store_commit(s, op->name, op->offset, &op->bytes);
        break;
    case READ:
        op->error = store_read(s, op->name, &op->bytes);
        break;
    case REMOVE:
        op->messages = op->count ? count_messages(s, op->name) : 0;
        op->error = store_remove(s, op->name);
        break;
    case PUT_AWAY:
        op->error = store_put_away(s, op->name);
        break;
    case CLOSE:
        store_close(s);
        break;
    }
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void push_listing(lua_State *L, const struct store_listing *l) {
    lua_createtable(L, (int)l->count, 3);
    for (size_t i = 0; i < l->count; i++) {
        lua_createtable(L, 0, 4);
        set_number(L, "number", (double)l->files[i].number);
        set_number(L, "created", (double)l->files[i].created);
        set_number(L, "modified", (double)l->files[i].modified);
        set_number(L, "size", (double)l->files[i].size);
        lua_rawseti(L, -2, (int)i + 1);
    }
    set_number(L, "bad", (double)l->bad);
    set_number(L, "put_away", (double)l->put_away);
    lua_pushboolean(L, l->more);
    lua_setfield(L, -2, "more");
}

static void push_error(lua_State *L, const struct operation *op) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, strerrorname_np(op->error));
    lua_setfield(L, -2, "code");
    if (op->error == EBUSY && op->kind == OPEN) {
        lua_pushfstring(L, "%s is in use by process %d", op->handle->store.path, (int)op->holder);
    } else {
        lua_pushfstring(L, "%s: %s", op->handle->store.path, strerror(op->error));
    }
    lua_setfield(L, -2, "message");
}

/* Runs protected: here memory may run out. */
static int answer(lua_State *L) {
    struct operation *op = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, op->callback);
    if (op->error) {
        push_error(L, op);
        host_call(L, 1, 0);
        return 0;
    }
    lua_pushnil(L);
    if (op->kind == OPEN || op->kind == LIST) {
        push_listing(L, &op->listing);
    } else if (op->kind == READ) {
        lua_segment_push(L, &op->bytes);
    } else if (op->kind == REMOVE) {
        lua_pushnumber(L, (double)op->messages);
    } else if (op->kind == COMMIT) {
        lua_pushnumber(L, (double)((op->offset ? op->offset : SEGMENT_HEAD) + op->bytes.len));
    } else {
        lua_pushnil(L);
    }
    host_call(L, 2, 0);
    return 0;
}

static void done(uv_work_t *request, int status) {
    struct operation *op = request->data;
    lua_State *L = op->L;
    if (status != 0) {
        op->error = ECANCELED;
    }
    op->handle->busy = false;
    lua_pushcfunction(L, answer);
    lua_pushlightuserdata(L, op);
    host_call(L, 1, 0);
    luaL_unref(L, LUA_REGISTRYINDEX, op->callback);
    luaL_unref(L, LUA_REGISTRYINDEX, op->self);
    buffer_free(&op->bytes);
    store_listing_free(&op->listing);
    free(op);
}

/* Begins an operation whose callback is the argument `callback`. */
static struct operation *new_operation(lua_State *L, enum kind kind, int callback) {
    struct handle *handle = check_store(L);
    luaL_checktype(L, callback, LUA_TFUNCTION);
    luaL_argcheck(L, !handle->busy, 1, "an operation is under way");
    struct operation *op = calloc(1, sizeof *op);
    if (!op) {
        luaL_error(L, "out of memory");
        __builtin_unreachable();
    }
    op->work.data = op;
    op->L = host_of(L)->L;
    op->handle = handle;
    op->kind = kind;
    return op;
}

static int start(lua_State *L, struct operation *op, int callback) {
    lua_pushvalue(L, callback);
    op->callback = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 1);
    op->self = luaL_ref(L, LUA_REGISTRYINDEX);
    op->handle->busy = true;
    uv_queue_work(&host_of(L)->loop, &op->work, work, done);
    return 0;
}

/* The name of the file whose number and time are the arguments 2 and 3. */
static void take_name(lua_State *L, char name[STORE_NAME]) {
    lua_Number number = luaL_checknumber(L, 2);
    lua_Number created = luaL_checknumber(L, 3);
    luaL_argcheck(L, number >= 0 && number < STORE_NUMBER_END, 2, "number of a file");
    luaL_argcheck(L, created >= 0 && created < STORE_NUMBER_END, 3, "unix seconds");
    store_name(name, (uint64_t)number, (int64_t)created);
}

static int simple(lua_State *L, enum kind kind) {
    return start(L, new_operation(L, kind, 2), 2);
}

static int store_lua_open(lua_State *L) {
    return simple(L, OPEN);
}

static int store_lua_list(lua_State *L) {
    return simple(L, LIST);
}

static int store_lua_close(lua_State *L) {
    return simple(L, CLOSE);
}

static int named(lua_State *L, enum kind kind, int callback) {
    char name[STORE_NAME];
    take_name(L, name);
    bool count = kind == REMOVE && lua_toboolean(L, 4);
    struct operation *op = new_operation(L, kind, callback);
    memcpy(op->name, name, sizeof name);
    op->count = count;
    return start(L, op, callback);
}

static int store_lua_read(lua_State *L) {
    return named(L, READ, 4);
}

static int store_lua_remove(lua_State *L) {
    return named(L, REMOVE, 5);
}

static int store_lua_put_away(lua_State *L) {
    return named(L, PUT_AWAY, 4);
}

static int store_lua_commit(lua_State *L) {
    char name[STORE_NAME];
    take_name(L, name);
    lua_Number offset = luaL_checknumber(L, 4);
    luaL_argcheck(L, offset >= 0 && offset <= SEGMENT_MAX, 4, "where in the file");
    struct buffer *records = lua_segment_records(L, 5);
    luaL_argcheck(L, records->len > 0, 5, "no messages");
    struct operation *op = new_operation(L, COMMIT, 6);
    memcpy(op->name, name, sizeof name);
    op->offset = (uint64_t)offset;
    op->bytes = *records;
    buffer_init(records, records->max);
    return start(L, op, 6);
}

static int new_store(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    luaL_argcheck(L, *path, 1, "a directory expected");
    struct handle *handle = lua_newuserdata(L, sizeof *handle);
    *handle = (struct handle){.store = {.lock = -1}};
    luaL_getmetatable(L, STORE);
    lua_setmetatable(L, -2);
    if (!store_init(&handle->store, path)) {
        return luaL_error(L, "out of memory");
    }
    return 1;
}

/* An operation refers to its store: one is under way only when the state closes, and then its
 * thread may still use the store. */
static int store_gc(lua_State *L) {
    struct handle *handle = check_store(L);
    if (!handle->busy) {
        store_free(&handle->store);
    }
    return 0;
}

static const luaL_Reg store_methods[] = {
    {"close", store_lua_close},       {"commit", store_lua_commit},
    {"list", store_lua_list},         {"open", store_lua_open},
    {"put_away", store_lua_put_away}, {"read", store_lua_read},
    {"remove", store_lua_remove},     {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new", new_store},
    {"writer", lua_segment_writer},
    {NULL, NULL},
};

int luaopen_host_spool(lua_State *L);
int luaopen_host_spool(lua_State *L) {
    lua_class(L, STORE, store_gc, store_methods);
    lua_segment_register(L);
    luaL_newlib(L, functions);
    return 1;
}
