#include "host/host.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <luv/luv.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/log.h"

enum { GC_PAUSE_PERCENT = 110 };

static const char host_key = 'h';

struct host *host_of(lua_State *L) {
    lua_pushlightuserdata(L, (void *)&host_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    struct host *h = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return h;
}

static int with_traceback(lua_State *L) {
    if (!lua_isstring(L, 1)) {
        if (!luaL_callmeta(L, 1, "__tostring")) {
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
        }
        lua_replace(L, 1);
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

static int call_protected(lua_State *L, int nargs, int nresults) {
    int at = lua_gettop(L) - nargs;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, at);
    int rc = lua_pcall(L, nargs, nresults, at);
    lua_remove(L, at);
    if (rc != 0) {
        host_of(L)->errors++;
        const char *why = lua_tostring(L, -1);
        log_record(LOG_ERROR, "host", why ? why : "error without a message");
        lua_settop(L, at - 1);
        return -rc;
    }
    return lua_gettop(L) - (at - 1);
}

bool host_call(lua_State *L, int nargs, int nresults) {
    return call_protected(L, nargs, nresults) >= 0;
}

/* luv's own routine exits the process when a callback raises. */
static int luv_callback(lua_State *L, int nargs, int nresults, int flags) {
    (void)flags;
    return call_protected(L, nargs, nresults);
}

static void measure_turn(uv_prepare_t *watchdog) {
    struct host *h = watchdog->data;
    uint64_t now = clock_mono_ns();
    uint64_t idle = uv_metrics_idle_time(&h->loop);
    uint64_t busy = (now - h->turn_began) - (idle - h->turn_idle);
    if (h->turn_began && busy > h->longest_stall) {
        h->longest_stall = busy;
    }
    h->turn_began = now;
    h->turn_idle = idle;
}

uint64_t host_take_stall(struct host *h) {
    uint64_t longest = h->longest_stall;
    h->longest_stall = 0;
    return longest;
}

/* AGENT_LUA_PATH: a tree of Lua files (…/lua) that goes before the compiled-in modules. */
static const char tree_loader[] = "local tree = os.getenv('AGENT_LUA_PATH')\n"
                                  "if not tree or tree == '' then return end\n"
                                  "local templates = tree .. '/?.lua;' .. tree .. '/?/init.lua'\n"
                                  "table.insert(package.loaders, 1, function(name)\n"
                                  "  local path, tried = package.searchpath(name, templates)\n"
                                  "  if not path then return tried end\n"
                                  "  return assert(loadfile(path))\n"
                                  "end)\n";

static int open_state(lua_State *L) {
    luaL_openlibs(L);
    /* Compiling what runs each ten seconds earns nothing back; `agent lua` turns the JIT on. Not
     * before: opening the library `jit` turns it on, too. */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    host_register_bindings(L);
    if (luaL_loadbuffer(L, tree_loader, sizeof tree_loader - 1, "=AGENT_LUA_PATH") != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

bool host_open(struct host *h) {
    *h = (struct host){0};
    int rc = uv_loop_init(&h->loop);
    if (rc != 0) {
        fprintf(stderr, "agent: no event loop: %s\n", uv_strerror(rc));
        return false;
    }
    uv_loop_configure(&h->loop, UV_METRICS_IDLE_TIME);
    uv_prepare_init(&h->loop, &h->watchdog);
    h->watchdog.data = h;
    uv_prepare_start(&h->watchdog, measure_turn);
    uv_unref((uv_handle_t *)&h->watchdog);
    h->L = luaL_newstate();
    if (!h->L) {
        fprintf(stderr, "agent: no memory for Lua\n");
        return false;
    }
    /* A life with little to do: a heap collected early stays small. */
    lua_gc(h->L, LUA_GCSETPAUSE, GC_PAUSE_PERCENT);
    lua_pushlightuserdata(h->L, (void *)&host_key);
    lua_pushlightuserdata(h->L, h);
    lua_rawset(h->L, LUA_REGISTRYINDEX);
    luv_set_loop(h->L, &h->loop);
    luv_set_callback(h->L, luv_callback);
    lua_pushcfunction(h->L, open_state);
    return host_call(h->L, 0, 0);
}

void host_end(struct host *h) {
    if (h->at_end) {
        h->at_end(h->at_end_ctx);
        h->at_end = NULL;
    }
}

void host_exit(struct host *h, int code) {
    h->exit_code = code;
    uv_stop(&h->loop);
}

/* agent.cli answers with an exit code, or with nil when the loop has to run on. */
static int run_cli(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "agent.cli");
    lua_call(L, 1, 1);
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

int host_main(struct host *h, int argc, char **argv) {
    lua_State *L = h->L;
    lua_pushcfunction(L, run_cli);
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    if (!host_call(L, 1, 1)) {
        return 70; /* EX_SOFTWARE of sysexits.h: our own defect, already logged */
    }
    bool done = !lua_isnil(L, -1);
    int code = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (done) {
        return code;
    }
    uv_run(&h->loop, UV_RUN_DEFAULT);
    return h->exit_code;
}
