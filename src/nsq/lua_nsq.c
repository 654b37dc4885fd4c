#include <lauxlib.h>

#include "host/host.h"
#include "net/lua_filter.h"
#include "net/lua_link.h"
#include "nsq/connection.h"

#define CONNECTION "host.nsq.connection"

struct handle {
    struct link link; /* of a struct nsq_connection */
    int negotiate;
};

static struct nsq_connection *check_connection(lua_State *L) {
    struct handle *h = link_check(L, CONNECTION);
    return h->link.connection;
}

/* The maker in field `name` of the plan at 1, or NULL. */
static struct filter_maker *maker_field(lua_State *L, const char *name) {
    lua_getfield(L, 1, name);
    return lua_isnil(L, -1) ? NULL : filter_check_maker(L, -1);
}

/* (plan table, connection) → whether it can be done. Raises on wrong types. */
static int take_plan(lua_State *L) {
    struct nsq_connection *c = lua_touserdata(L, 2);
    lua_getfield(L, 1, "secret");
    lua_getfield(L, 1, "name");
    struct nsq_plan plan = {0};
    plan.secret = luaL_optlstring(L, 3, NULL, &plan.secret_len);
    const char *peer = luaL_optstring(L, 4, NULL);
    struct filter_maker *tls = maker_field(L, "tls");
    struct filter_maker *deflate = maker_field(L, "deflate");
    plan.tls = tls ? tls->make(tls, peer) : NULL;
    plan.deflate = deflate ? deflate->make(deflate, NULL) : NULL;
    bool fine = !tls == !plan.tls && !deflate == !plan.deflate;
    lua_pushboolean(L, nsq_connection_plan(c, &plan) == 0 && fine);
    return 1;
}

/* Whether the plan that is on top, if it is one, can be followed. */
static bool follow_plan(lua_State *L, struct nsq_connection *c) {
    if (!lua_istable(L, -1)) {
        return lua_isnil(L, -1);
    }
    lua_pushcfunction(L, take_plan);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, c);
    if (!host_call(L, 2, 1)) {
        return false;
    }
    bool fine = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return fine;
}

static void on_identified(void *owner, const char *reply, size_t len) {
    struct handle *h = owner;
    lua_State *L = h->link.L;
    if (!link_push(&h->link, &h->negotiate, true)) {
        return;
    }
    lua_pushlstring(L, reply, len);
    if (!host_call(L, 1, 1)) {
        nsq_connection_close(h->link.connection);
        return;
    }
    if (!follow_plan(L, h->link.connection)) {
        nsq_connection_close(h->link.connection);
    }
    lua_pop(L, 1);
}

static void on_ready(void *owner) {
    link_ready(owner);
}

static void on_answered(void *owner, int ticket, const struct nsq_failure *why) {
    struct handle *h = owner;
    lua_State *L = h->link.L;
    if (!link_push(&h->link, &ticket, true)) {
        return;
    }
    if (why) {
        link_push_error(L, why->code, why->message);
        lua_pushboolean(L, why->guilty);
        lua_setfield(L, -2, "guilty");
    } else {
        lua_pushnil(L);
    }
    host_call(L, 1, 0);
}

static void on_closed(void *owner, const struct nsq_failure *why) {
    struct handle *h = owner;
    if (h->link.L) {
        luaL_unref(h->link.L, LUA_REGISTRYINDEX, h->negotiate);
    }
    link_closed(&h->link, why ? why->code : NULL, why ? why->message : NULL);
}

static void close_connection(void *connection) {
    nsq_connection_close(connection);
}

static const struct nsq_events events = {
    .identified = on_identified,
    .ready = on_ready,
    .answered = on_answered,
    .closed = on_closed,
};

static int open_connection(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct nsq_options options = {
        .port = (int)link_number(L, "port", 4150),
        .connect_ms = link_number(L, "connect_ms", 5000),
        .ack_ms = link_number(L, "ack_ms", 5000),
        .heartbeat_ms = link_number(L, "heartbeat_ms", 30000),
    };
    options.ip = link_string(L, "ip", NULL);
    options.identify = link_string(L, "identify", &options.identify_len);
    struct handle *h = link_new(L, CONNECTION, sizeof *h);
    int error = UV_ENOMEM;
    struct nsq_connection *c =
        h ? nsq_connect(&host_of(L)->loop, &options, &events, h, &error) : NULL;
    if (!c) {
        return link_refuse(L, error);
    }
    link_open(L, &h->link, c, close_connection);
    h->negotiate = link_function(L, "negotiate");
    return 1;
}

static const char *piece(lua_State *L, int message, int index, size_t *len) {
    lua_rawgeti(L, message, index);
    const char *bytes = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, len) : NULL;
    lua_pop(L, 1); /* the message keeps it */
    return bytes;
}

/* Adds message `i` of the table at 3. false: no message, or one too large; the batch is abandoned.
 */
static bool add(lua_State *L, struct nsq_batch *batch, int i, bool *malformed) {
    size_t head_len = 0;
    size_t body_len = 0;
    lua_rawgeti(L, 3, i);
    bool table = lua_istable(L, -1);
    const char *head = table ? piece(L, lua_gettop(L), 1, &head_len) : NULL;
    const char *body = table ? piece(L, lua_gettop(L), 2, &body_len) : NULL;
    lua_pop(L, 1);
    *malformed = !head || !body;
    if (*malformed) {
        nsq_batch_abandon(batch);
        return false;
    }
    return nsq_batch_add(batch, head, head_len, body, body_len);
}

static int mpub(lua_State *L) {
    struct nsq_connection *c = check_connection(L);
    size_t len;
    const char *topic = luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, nsq_topic_valid(topic, len), 2, "not a topic name of NSQ");
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    int n = (int)lua_objlen(L, 3);
    luaL_argcheck(L, n > 0, 3, "no messages");
    struct nsq_batch batch;
    int error = c ? nsq_connection_begin(c, &batch, topic, len, n == 1) : UV_ENOTCONN;
    for (int i = 1; error == 0 && i <= n; i++) {
        bool malformed;
        if (!add(L, &batch, i, &malformed)) {
            luaL_argcheck(L, !malformed, 3, "a message must be { head, body }, both strings");
            error = UV_ENOBUFS;
        }
    }
    if (error || !nsq_batch_end(&batch)) {
        return link_refuse(L, error ? error : UV_ENOBUFS);
    }
    lua_settop(L, 4);
    nsq_connection_commit(c, luaL_ref(L, LUA_REGISTRYINDEX));
    lua_pushboolean(L, true);
    return 1;
}

static int inflight(lua_State *L) {
    struct nsq_connection *c = check_connection(L);
    lua_pushinteger(L, c ? (lua_Integer)nsq_connection_inflight(c) : 0);
    return 1;
}

static int gather(lua_State *L) {
    struct nsq_connection *c = check_connection(L);
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    if (c) {
        nsq_connection_gather(c, lua_toboolean(L, 2));
    }
    return 0;
}

static int valid_topic(lua_State *L) {
    size_t len;
    const char *topic = luaL_checklstring(L, 1, &len);
    lua_pushboolean(L, nsq_topic_valid(topic, len));
    return 1;
}

static const luaL_Reg methods[] = {
    {"gather", gather},
    {"inflight", inflight},
    {"mpub", mpub},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"connect", open_connection},
    {"valid_topic", valid_topic},
    {NULL, NULL},
};

int luaopen_host_nsq(lua_State *L);
int luaopen_host_nsq(lua_State *L) {
    link_class(L, CONNECTION, methods);
    luaL_newlib(L, functions);
    return 1;
}
