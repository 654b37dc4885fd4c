#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "util/log.h"

enum { MOST_FIELDS = 32, NUMBER_ROOM = 32 };

static const char *const levels[] = {"FATAL", "ERROR", "WARNING", "INFO", "DEBUG", NULL};
static const char *const formats[] = {"text", "json", NULL};

struct fields {
    struct log_field list[MOST_FIELDS];
    char numbers[MOST_FIELDS][NUMBER_ROOM];
    size_t count;
};

static void number_field(lua_State *L, int at, struct log_field *f, char *room) {
    double value = lua_tonumber(L, at);
    bool whole = fabs(value) <= 9007199254740992.0 && floor(value) == value;
    f->value.bytes = room;
    f->value.len = (size_t)snprintf(room, NUMBER_ROOM, whole ? "%.0f" : "%.14g", value);
    f->number = isfinite(value);
}

static void set_value(lua_State *L, int at, struct log_field *f, char *room) {
    switch (lua_type(L, at)) {
    case LUA_TNUMBER:
        number_field(L, at, f, room);
        break;
    case LUA_TSTRING:
        f->value.bytes = lua_tolstring(L, at, &f->value.len);
        break;
    case LUA_TBOOLEAN:
        f->value.bytes = lua_toboolean(L, at) ? "true" : "false";
        f->value.len = strlen(f->value.bytes);
        f->number = true;
        break;
    default:
        f->value.bytes = luaL_typename(L, at);
        f->value.len = strlen(f->value.bytes);
    }
}

static int by_key(const void *a, const void *b) {
    const struct log_text *x = &((const struct log_field *)a)->key;
    const struct log_text *y = &((const struct log_field *)b)->key;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The table's string keys; its strings stay alive because the table is on the stack. */
static void read_fields(lua_State *L, int table, struct fields *fields) {
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (fields->count < MOST_FIELDS && lua_type(L, -2) == LUA_TSTRING) {
            struct log_field *f = &fields->list[fields->count];
            *f = (struct log_field){0};
            f->key.bytes = lua_tolstring(L, -2, &f->key.len);
            set_value(L, -1, f, fields->numbers[fields->count]);
            fields->count++;
        }
        lua_pop(L, 1);
    }
    qsort(fields->list, fields->count, sizeof fields->list[0], by_key);
}

static int write_record(lua_State *L, enum log_level level) {
    struct log_record record = {.level = level};
    record.part.bytes = luaL_checklstring(L, 1, &record.part.len);
    record.message.bytes = luaL_checklstring(L, 2, &record.message.len);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
    }
    if (!log_enabled(level)) {
        return 0;
    }
    struct fields fields;
    fields.count = 0;
    if (lua_istable(L, 3)) {
        read_fields(L, 3, &fields);
    }
    record.fields = fields.list;
    record.count = fields.count;
    log_write(&record);
    return 0;
}

static int fatal(lua_State *L) {
    return write_record(L, LOG_FATAL);
}

static int error(lua_State *L) {
    return write_record(L, LOG_ERROR);
}

static int warning(lua_State *L) {
    return write_record(L, LOG_WARNING);
}

static int info(lua_State *L) {
    return write_record(L, LOG_INFO);
}

static int debug(lua_State *L) {
    return write_record(L, LOG_DEBUG);
}

static int enabled(lua_State *L) {
    lua_pushboolean(L, log_enabled((enum log_level)luaL_checkoption(L, 1, NULL, levels)));
    return 1;
}

static lua_Number number_option(lua_State *L, const char *name) {
    lua_getfield(L, 1, name);
    lua_Number value = luaL_optnumber(L, -1, 0);
    luaL_argcheck(L, value >= 0 && value <= 1e15, 1, name);
    lua_pop(L, 1);
    return value;
}

static int choice(lua_State *L, const char *name, const char *default_choice,
                  const char *const list[]) {
    lua_getfield(L, 1, name);
    int i = luaL_checkoption(L, -1, default_choice, list);
    lua_pop(L, 1);
    return i;
}

static int setup(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    struct log_options options = {.level = (enum log_level)choice(L, "level", "INFO", levels),
                                  .format = (enum log_format)choice(L, "format", "text", formats),
                                  .rotate_size = (uint64_t)number_option(L, "rotate_size"),
                                  .rotate_count = (unsigned)number_option(L, "rotate_count")};
    lua_getfield(L, 1, "dir");
    lua_getfield(L, 1, "file");
    const char *dir = luaL_optstring(L, -2, "");
    const char *file = luaL_optstring(L, -1, "agent.log");
    luaL_argcheck(L, *file && !strchr(file, '/'), 1, "file: a name without slashes");
    if (*dir) {
        options.path = lua_pushfstring(L, "%s/%s", dir, file);
    }
    int rc = log_setup(&host_of(L)->loop, &options);
    if (rc != 0) {
        lua_pushnil(L);
        lua_pushstring(L, uv_strerror(rc));
        lua_pushstring(L, uv_err_name(rc));
        return 3;
    }
    lua_pushboolean(L, true);
    return 1;
}

struct flush {
    lua_State *L; /* the host's main state, which outlives every callback */
    int callback; /* reference in the registry */
};

static void flushed(void *arg) {
    struct flush *f = arg;
    lua_rawgeti(f->L, LUA_REGISTRYINDEX, f->callback);
    luaL_unref(f->L, LUA_REGISTRYINDEX, f->callback);
    lua_State *L = f->L;
    free(f);
    host_call(L, 0, 0);
}

static int flush(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct flush *f = malloc(sizeof *f);
    if (!f) {
        return luaL_error(L, "no memory");
    }
    lua_settop(L, 1);
    *f = (struct flush){.L = host_of(L)->L, .callback = luaL_ref(L, LUA_REGISTRYINDEX)};
    if (!log_flush(flushed, f)) {
        flushed(f);
    }
    return 0;
}

static int lost(lua_State *L) {
    lua_pushnumber(L, (lua_Number)log_lost());
    return 1;
}

static int close_log(lua_State *L) {
    log_close((unsigned)luaL_optinteger(L, 1, 1000));
    return 0;
}

static const luaL_Reg functions[] = {
    {"close", close_log}, {"debug", debug},     {"enabled", enabled}, {"error", error},
    {"fatal", fatal},     {"flush", flush},     {"info", info},       {"lost", lost},
    {"setup", setup},     {"warning", warning}, {NULL, NULL},
};

int luaopen_host_log(lua_State *L);
int luaopen_host_log(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
