/* Whether TCP ports of this machine answer, on 127.0.0.1 or ::1: many at once, each with a timeout
 * of its own, without waiting for any. */
#ifndef AGENT_NET_PROBE_H
#define AGENT_NET_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Sockets open at a time. A port that never answers holds two for its timeout, so 1000 of them
 * still take one timeout and not two; what is beyond waits for a place, and its time has not begun.
 */
enum { PROBE_SOCKETS = 2048 };

struct probe_port {
    /* What to ask, set by the caller. */
    uint16_t port;
    uint32_t timeout_ms;
    /* The answer: 0 somebody listens; a negative errno nobody does, or it could not be asked. */
    int error;
    double seconds; /* how long the connection took, where there is one */
    /* The probe's own. */
    uint64_t began; /* 0: not yet */
    int fds[2];     /* to 127.0.0.1 and ::1; -1: none, or over */
    int errors[2];
};

struct probe;

/* Asks `count` ports. `ports` stays the caller's and must live until `done` or probe_close().
 * `done` is called once, from the loop. A connection that was made is reset, so that none of them
 * stays in TIME_WAIT. NULL: *error is a libuv error. Raises the soft limit of open files, as far as
 * the hard one allows, when so many ports need it. */
struct probe *probe_start(uv_loop_t *loop, struct probe_port *ports, size_t count,
                          void (*done)(void *owner), void *owner, int *error);

/* Gives everything up, without `done`; `ports` is not touched any more. After `done` not needed. */
void probe_close(struct probe *p);

/* Whether an error says nothing about the port, only that we had no means to ask. */
bool probe_is_own_fault(int error);

#endif
