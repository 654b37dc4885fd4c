#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "http/metrics.h"
#include "http/points.h"
#include "util/lua_class.h"

#define READER "host.metrics.reader"

/* Where a reader's environment keeps what must live as long as it does. */
enum { BODY = 1, REFUSE = 2, POINTS = 3 };

enum { PREFIX_MAX = 64 };

static const char tail[] = "],\"precision\":\"s\"}"; /* of a body, as in agent.publish.points */

struct reader {
    struct metrics_reader core;
    char prefix[PREFIX_MAX]; /* of names */
    size_t prefix_len;
    char *scratch; /* owned: for strings without their escapes */
    size_t scratch_size;
    struct buffer points; /* owned: of the body that encode() is at */
    size_t points_max;    /* bytes of a body */
};

static struct reader *check_reader(lua_State *L) {
    return luaL_checkudata(L, 1, READER);
}

/* Room for n bytes; the body's size bounds it. */
static char *scratch(lua_State *L, struct reader *r, size_t n) {
    if (n > r->scratch_size) {
        char *bigger = realloc(r->scratch, n * 2);
        if (!bigger) {
            luaL_error(L, "out of memory");
        }
        r->scratch = bigger;
        r->scratch_size = n * 2;
    }
    return r->scratch;
}

static void push_text(lua_State *L, struct reader *r, struct metrics_text text) {
    if (!text.escaped) {
        lua_pushlstring(L, text.bytes, text.len);
        return;
    }
    char *to = scratch(L, r, text.len);
    lua_pushlstring(L, to, metrics_unescape(text, to));
}

/* Pushes the full name, or nothing: false where it isn't one. */
static bool push_name(lua_State *L, struct reader *r, struct metrics_text name) {
    size_t before = r->prefix_len;
    char *to = scratch(L, r, before + name.len);
    memcpy(to, r->prefix, before);
    size_t len = metrics_unescape(name, to + before);
    if (!metrics_name_valid(to + before, len)) {
        return false;
    }
    lua_pushlstring(L, to, before + len);
    return true;
}

static void push_value(lua_State *L, struct reader *r, const struct metrics_entry *e) {
    if (e->kind == METRICS_STRING) {
        push_text(L, r, e->text);
    } else if (e->kind == METRICS_BOOLEAN) {
        lua_pushboolean(L, e->boolean);
    } else {
        lua_pushnumber(L, e->number);
    }
}

static void push_tags(lua_State *L, struct reader *r, const struct metrics_entry *e) {
    struct metrics_text key;
    struct metrics_text value;
    size_t at = e->tags;
    lua_createtable(L, 0, 2);
    while (metrics_next_tag(&r->core, &at, &key, &value)) {
        push_text(L, r, key);
        push_text(L, r, value);
        lua_rawset(L, -3);
    }
}

/* Pushes the entry as a metric; false, and nothing pushed, where its name isn't one. */
static bool push_metric(lua_State *L, struct reader *r, const struct metrics_entry *e) {
    if (!push_name(L, r, e->name)) {
        return false;
    }
    lua_createtable(L, 0, 4);
    lua_insert(L, -2);
    lua_setfield(L, -2, "name");
    push_value(L, r, e);
    lua_setfield(L, -2, "value");
    if (e->has_timestamp) {
        lua_pushnumber(L, (lua_Number)e->timestamp);
        lua_setfield(L, -2, "timestamp");
    }
    if (e->tags) {
        push_tags(L, r, e);
        lua_setfield(L, -2, "tags");
    }
    return true;
}

static int refuse(lua_State *L, const char *why, bool about_entry, size_t index, const char *code) {
    lua_pushnil(L);
    if (about_entry) {
        lua_pushfstring(L, "entry %d: %s", (int)index, why);
    } else {
        lua_pushstring(L, why);
    }
    lua_pushstring(L, code);
    return 3;
}

/* Tells options.refuse of an entry that is passed over. */
static void tell(lua_State *L, struct reader *r, struct metrics_text name, const char *why) {
    lua_getfenv(L, 1);
    lua_rawgeti(L, -1, REFUSE);
    lua_pushinteger(L, (lua_Integer)r->core.index - 1);
    if (name.len) {
        push_text(L, r, name);
    } else {
        lua_pushnil(L);
    }
    lua_pushstring(L, why);
    lua_call(L, 3, 0);
    lua_pop(L, 1);
}

static int reader_read(lua_State *L) {
    struct reader *r = check_reader(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer left = luaL_checkinteger(L, 3);
    luaL_argcheck(L, left > 0, 3, "nothing to be read");
    int count = (int)lua_objlen(L, 2);
    for (; left > 0; left--) {
        struct metrics_entry e;
        enum metrics_event event = metrics_next(&r->core, &e);
        if (event == METRICS_BAD) {
            return refuse(L, r->core.why, r->core.about_entry, r->core.index, "EJSON");
        }
        if (event == METRICS_END) {
            break;
        }
        if (event == METRICS_REFUSED) {
            tell(L, r, e.name, r->core.refused);
            continue;
        }
        if (!push_metric(L, r, &e)) {
            if (r->core.lenient) {
                tell(L, r, e.name, "invalid name, just 0-9 a-z A-Z - _ . are allowed");
                continue;
            }
            return refuse(L, "invalid name", true, r->core.index - 1, "ENAME");
        }
        lua_rawseti(L, 2, ++count);
    }
    lua_pushboolean(L, left == 0);
    return 1;
}

/* Where encode() has its arguments, and what it needs of options.points. */
enum { SELF = 1, BODIES = 2, COUNT = 3, HOST = 4, NOW = 5, ENCODE = 6 };

/* Appends the first `len` bytes to the bodies as one; what is behind them begins the next. */
static void finish_body(lua_State *L, struct reader *r, size_t len) {
    if (len) {
        lua_pushlstring(L, r->points.data, len);
        lua_pushlstring(L, tail, sizeof tail - 1);
        lua_concat(L, 2);
        lua_rawseti(L, BODIES, (int)lua_objlen(L, BODIES) + 1);
        buffer_consume(&r->points, len);
    }
    if (r->points.len) {
        r->points.data[0] = '[';
    }
}

static bool separate(struct reader *r) {
    return buffer_append(&r->points, r->points.len ? "," : "[", 1);
}

/* What was appended behind `before` is a point with its separator: it stays, in this body or the
 * next, or goes when it fits into none. */
static bool settle_point(lua_State *L, struct reader *r, size_t before) {
    size_t most = r->points_max - (sizeof tail - 1);
    if (r->points.len - before > most) {
        r->points.len = before;
        return false;
    }
    if (r->points.len > most) {
        finish_body(L, r, before);
    }
    return true;
}

static bool add_plain(lua_State *L, struct reader *r, const struct metrics_entry *e,
                      const struct points_defaults *defaults) {
    size_t before = r->points.len;
    if (!separate(r) || !points_put(&r->points, &r->core, e, defaults)) {
        r->points.len = before;
        return false;
    }
    return settle_point(L, r, before);
}

/* Has options.points.encode make the point of the metric on top; it may have none. */
static void add_slowly(lua_State *L, struct reader *r) {
    size_t len = 0;
    size_t before = r->points.len;
    lua_pushvalue(L, ENCODE);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &len);
    if (text) {
        if (!separate(r) || !buffer_append(&r->points, text, len)) {
            luaL_error(L, "a point is too large, or memory has run out");
        }
        settle_point(L, r, before);
    }
    lua_pop(L, 1);
}

/* Leaves what encode() needs on the stack. */
static struct points_defaults push_defaults(lua_State *L, const struct reader *r) {
    struct points_defaults d = {.prefix = {.bytes = r->prefix, .len = r->prefix_len}};
    lua_settop(L, COUNT);
    lua_getfenv(L, SELF);
    lua_rawgeti(L, -1, POINTS);
    lua_replace(L, COUNT);
    lua_settop(L, COUNT);
    lua_getfield(L, COUNT, "host");
    lua_getfield(L, COUNT, "now");
    lua_getfield(L, COUNT, "encode");
    d.host.bytes = lua_tolstring(L, HOST, &d.host.len);
    d.now.bytes = lua_tolstring(L, NOW, &d.now.len);
    return d;
}

static int reader_encode(lua_State *L) {
    struct reader *r = check_reader(L);
    luaL_checktype(L, BODIES, LUA_TTABLE);
    lua_Integer left = luaL_checkinteger(L, COUNT);
    luaL_argcheck(L, left > 0, COUNT, "nothing to be read");
    luaL_argcheck(L, r->points_max, SELF, "a reader without options.points");
    struct points_defaults defaults = push_defaults(L, r);
    for (; left > 0; left--) {
        struct metrics_entry e;
        enum metrics_event event = metrics_next(&r->core, &e);
        if (event == METRICS_BAD) {
            return refuse(L, r->core.why, r->core.about_entry, r->core.index, "EJSON");
        }
        if (event == METRICS_END) {
            finish_body(L, r, r->points.len);
            buffer_free(&r->points);
            break;
        }
        if (metrics_name_valid(e.name.bytes, e.name.len) && add_plain(L, r, &e, &defaults)) {
            continue;
        }
        if (!push_metric(L, r, &e)) {
            return refuse(L, "invalid name", true, r->core.index - 1, "ENAME");
        }
        add_slowly(L, r);
    }
    lua_pushboolean(L, left == 0);
    return 1;
}

static int reader_gc(lua_State *L) {
    struct reader *r = check_reader(L);
    buffer_free(&r->points);
    free(r->scratch);
    r->scratch = NULL;
    r->scratch_size = 0;
    return 0;
}

/* Leaves the options' prefix, refuse and points, or nil for each that isn't there, at indexes 3
 * to 5. */
static void check_options(lua_State *L) {
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getfield(L, 2, "prefix");
    lua_getfield(L, 2, "refuse");
    luaL_argcheck(L, lua_isnil(L, 3) || lua_type(L, 3) == LUA_TSTRING, 2, "prefix: a string");
    luaL_argcheck(L, lua_objlen(L, 3) <= PREFIX_MAX, 2, "prefix: too long");
    luaL_argcheck(L, lua_isnil(L, 4) || lua_isfunction(L, 4), 2, "refuse: a function");
    lua_getfield(L, 2, "points");
    luaL_argcheck(L, lua_isnil(L, 5) || (lua_istable(L, 5) && lua_isnil(L, 4)), 2,
                  "points: a table, without refuse");
}

/* The largest body, of the options' points at 5. */
static size_t check_points(lua_State *L) {
    if (lua_isnil(L, 5)) {
        return 0;
    }
    lua_getfield(L, 5, "host");
    lua_getfield(L, 5, "now");
    lua_getfield(L, 5, "encode");
    lua_getfield(L, 5, "max");
    luaL_argcheck(L, lua_type(L, 6) == LUA_TSTRING && lua_type(L, 7) == LUA_TSTRING, 2,
                  "points: host and now are strings");
    luaL_argcheck(L, lua_isfunction(L, 8), 2, "points: encode is a function");
    lua_Number max = lua_tonumber(L, 9);
    luaL_argcheck(L, max >= 64 && max <= 1 << 24, 2, "points: max is 64 to 2^24");
    lua_settop(L, 5);
    return (size_t)max;
}

static int open_reader(lua_State *L) {
    size_t len = 0;
    const char *body = luaL_checklstring(L, 1, &len);
    check_options(L);
    size_t points_max = check_points(L);
    struct reader *r = lua_newuserdata(L, sizeof *r);
    *r = (struct reader){.points_max = points_max};
    buffer_init(&r->points, 2 * points_max + 4096); /* a point is looked at before it must fit */
    metrics_open(&r->core, body, len);
    r->core.lenient = !lua_isnil(L, 4);
    const char *prefix = lua_isnil(L, 3) ? "RUN." : lua_tolstring(L, 3, NULL);
    r->prefix_len = lua_isnil(L, 3) ? strlen(prefix) : lua_objlen(L, 3);
    memcpy(r->prefix, prefix, r->prefix_len);
    luaL_getmetatable(L, READER);
    lua_setmetatable(L, -2);
    lua_createtable(L, 3, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, BODY);
    lua_pushvalue(L, 4);
    lua_rawseti(L, -2, REFUSE);
    lua_pushvalue(L, 5);
    lua_rawseti(L, -2, POINTS);
    lua_setfenv(L, -2);
    return 1;
}

static const luaL_Reg reader_methods[] = {
    {"encode", reader_encode},
    {"read", reader_read},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"reader", open_reader},
    {NULL, NULL},
};

int luaopen_host_metrics(lua_State *L);
int luaopen_host_metrics(lua_State *L) {
    lua_class(L, READER, reader_gc, reader_methods);
    luaL_newlib(L, functions);
    return 1;
}
