/* The house itself: one Lua state and one libuv loop that live as long as the process. */
#ifndef AGENT_HOST_HOST_H
#define AGENT_HOST_HOST_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct host {
    lua_State *L;
    uv_loop_t loop;
    uv_prepare_t watchdog;  /* measures how long one turn of the loop kept it busy */
    uint64_t turn_began;    /* clock_mono_ns() at the last prepare */
    uint64_t turn_idle;     /* uv_metrics_idle_time() at the last prepare */
    uint64_t longest_stall; /* ns, since host_take_stall() */
    uint64_t errors;        /* callbacks that raised, since start */
    int exit_code;
    void (*at_end)(void *ctx); /* ends all children; set by who starts them */
    void *at_end_ctx;
};

/* Opens the state and the loop in `h` (owned by the caller, zeroed here). false: said why on
 * stderr. */
bool host_open(struct host *h);

/* Runs agent.cli with the arguments, then the loop until host_exit() or nothing is left to wait
 * for. Returns the exit code of the process. */
int host_main(struct host *h, int argc, char **argv);

/* The last thing before the process leaves: nothing that was started stays alive. */
void host_end(struct host *h);

/* The host a state belongs to; works in its coroutines too. */
struct host *host_of(lua_State *L);

/* Ends the loop after the callback that runs now. */
void host_exit(struct host *h, int code);

/* Calls the function below `nargs` arguments on the stack, as lua_pcall() does, for a callback that
 * nobody above can catch for: an error is logged with its traceback and counted. Function and
 * arguments are always gone afterwards; on success `nresults` values are left and true is returned.
 */
bool host_call(lua_State *L, int nargs, int nresults);

/* The longest turn of the loop in nanoseconds since the last call of this function. */
uint64_t host_take_stall(struct host *h);

/* The one registration table: makes every C module of the agent known to require(). */
void host_register_bindings(lua_State *L);

#endif
