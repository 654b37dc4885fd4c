#include "spool/lua_segment.h"

#include <lauxlib.h>
#include <string.h>

#include "spool/segment.h"
#include "util/lua_class.h"

#define SEGMENT "host.spool.segment"
#define WRITER  "host.spool.writer"

struct segment {
    struct buffer bytes;
    size_t at;
};

static struct segment *check_segment(lua_State *L) {
    return luaL_checkudata(L, 1, SEGMENT);
}

void lua_segment_push(lua_State *L, struct buffer *bytes) {
    struct segment *s = lua_newuserdata(L, sizeof *s);
    *s = (struct segment){.bytes = *bytes, .at = SEGMENT_HEAD};
    buffer_init(bytes, bytes->max);
    luaL_getmetatable(L, SEGMENT);
    lua_setmetatable(L, -2);
}

static bool same(struct segment_text a, struct segment_text b) {
    return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

static void push_message(lua_State *L, const struct segment_record *r) {
    lua_createtable(L, 3, 0);
    lua_pushlstring(L, r->head.bytes, r->head.len);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, r->body.bytes, r->body.len);
    lua_rawseti(L, -2, 2);
}

/* Messages of one topic that stand together. */
static int segment_lua_next(lua_State *L) {
    struct segment *s = check_segment(L);
    lua_Number max = luaL_checknumber(L, 2);
    struct segment_record first;
    struct segment_record r;
    enum segment_event event = segment_next(s->bytes.data, s->bytes.len, &s->at, &first);
    if (event != SEGMENT_RECORD) {
        lua_pushnil(L);
        lua_pushboolean(L, event == SEGMENT_TORN);
        return 2;
    }
    lua_pushlstring(L, first.topic.bytes, first.topic.len);
    lua_newtable(L);
    push_message(L, &first);
    lua_rawseti(L, -2, 1);
    size_t bytes = first.head.len + first.body.len;
    for (int n = 2;; n++) {
        size_t at = s->at;
        if (segment_next(s->bytes.data, s->bytes.len, &at, &r) != SEGMENT_RECORD ||
            !same(r.topic, first.topic) || (double)(bytes + r.head.len + r.body.len) > max) {
            break;
        }
        s->at = at;
        bytes += r.head.len + r.body.len;
        push_message(L, &r);
        lua_rawseti(L, -2, n);
    }
    lua_pushnumber(L, (double)bytes);
    return 3;
}

static int segment_size(lua_State *L) {
    lua_pushnumber(L, (double)check_segment(L)->bytes.len);
    return 1;
}

static int segment_close(lua_State *L) {
    struct segment *s = check_segment(L);
    buffer_free(&s->bytes);
    s->at = 0;
    return 0;
}

struct buffer *lua_segment_records(lua_State *L, int index) {
    return luaL_checkudata(L, index, WRITER);
}

int lua_segment_writer(lua_State *L) {
    struct buffer *records = lua_newuserdata(L, sizeof *records);
    buffer_init(records, SEGMENT_MAX - SEGMENT_HEAD);
    luaL_getmetatable(L, WRITER);
    lua_setmetatable(L, -2);
    return 1;
}

static struct segment_text take_text(lua_State *L, int index) {
    struct segment_text text = {0};
    text.bytes = luaL_checklstring(L, index, &text.len);
    return text;
}

static int writer_add(lua_State *L) {
    struct segment_record r = {
        .topic = take_text(L, 2), .head = take_text(L, 3), .body = take_text(L, 4)};
    if (!segment_add(lua_segment_records(L, 1), &r)) {
        lua_pushnil(L);
        lua_pushliteral(L, "too large");
        lua_pushliteral(L, "EMSGSIZE");
        return 3;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int writer_size(lua_State *L) {
    lua_pushnumber(L, (double)lua_segment_records(L, 1)->len);
    return 1;
}

static int writer_gc(lua_State *L) {
    buffer_free(lua_segment_records(L, 1));
    return 0;
}

static const luaL_Reg segment_methods[] = {
    {"close", segment_close},
    {"next", segment_lua_next},
    {"size", segment_size},
    {NULL, NULL},
};

static const luaL_Reg writer_methods[] = {
    {"add", writer_add},
    {"size", writer_size},
    {NULL, NULL},
};

void lua_segment_register(lua_State *L) {
    lua_class(L, SEGMENT, segment_close, segment_methods);
    lua_class(L, WRITER, writer_gc, writer_methods);
}
