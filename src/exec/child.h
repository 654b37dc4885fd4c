/* A child process on the loop: its pipes, its deadline, and what is done when it does not obey.
 *
 * One child's life: it runs; at the deadline (or exec_kill) its process group gets TERM, after a
 * grace period the group and all descendants get KILL. The answer comes after its exit and the end
 * of its output, and at the latest a grace period after the exit, when somebody else keeps the
 * output open. What is left of its group and its cgroup is killed then; without a cgroup, what had
 * left the group (setsid) is found as an orphan: this process is their subreaper. A child that not
 * even KILL ends (it hangs in the kernel) is answered for as `stuck`, and `gone` is called when it
 * goes at last. Nothing here ever waits: the start, too, which may hang, is done by a thread
 * (starter.h), within the deadline. */
#ifndef AGENT_EXEC_CHILD_H
#define AGENT_EXEC_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <uv.h>

#include "exec/cgroup.h"
#include "exec/spawn.h"
#include "util/buffer.h"

/* All children of one loop. */
struct exec_room;
struct exec_child;

struct exec_result {
    int error;        /* it could not be started (errno), and all below means nothing, or 0 */
    const char *step; /* what failed then */
    int code;         /* exit status, or -1 */
    int signal;       /* what killed it, or 0 */
    bool timed_out;
    bool truncated; /* stdout or stderr were longer than max_output */
    bool stuck;     /* it still exists: code, signal and usage mean nothing */
    bool bad_frame; /* its channel broke the protocol, for which it was killed */
    const struct buffer *out;
    const struct buffer *err;
    uint64_t duration_ns;
    struct rusage usage;  /* of the child and what it had waited for */
    bool in_cgroup;       /* it was in one of its own */
    uint64_t memory_peak; /* of its cgroup; 0: not known */
};

struct exec_events {
    void (*frame)(void *ctx, const char *bytes, size_t len);
    void (*done)(void *ctx, const struct exec_result *result); /* once */
    void (*gone)(void *ctx);                                   /* only after a stuck result */
    void (*closed)(void *ctx); /* last of all: the child is no longer a valid pointer */
};

struct exec_options {
    struct spawn_plan plan; /* fds are filled in by exec_start() */
    const char *input;      /* for its stdin; NULL: /dev/null */
    size_t input_len;
    bool channel;         /* give it a socket for frames as descriptor 3 */
    uint64_t deadline_ms; /* 0: may run for ever */
    uint64_t grace_ms;
    size_t max_output;  /* for stdout and stderr each */
    const char *cgroup; /* what its cgroup is called; NULL: none of its own */
    struct cgroup_limits cgroup_limits;
};

/* Makes this process the subreaper. NULL: no memory. */
struct exec_room *exec_room_open(uv_loop_t *loop);

/* Kills what still runs; no event is called any more. Waits up to 0.2 s for the end of those in
 * cgroups. Memory goes with the loop's next turns. */
void exec_room_close(struct exec_room *room);

/* Starts a child, in a thread; the strings in `options` are only needed during the call. When the
 * start fails later, the result tells. NULL: *error is a positive errno, *step what failed;
 * `closed` is not called then. */
struct exec_child *exec_start(struct exec_room *room, const struct exec_options *options,
                              const struct exec_events *events, void *ctx, int *error,
                              const char **step);

/* Where children that ask for a cgroup get it, and which limits hold there; NULL before the first
 * of them. */
const struct cgroup_tree *exec_cgroups(const struct exec_room *room);

/* Ends the child before its deadline: TERM and so on, or KILL at once. Idempotent. */
void exec_kill(struct exec_child *child, bool at_once);

/* Queues one frame for its channel. 0, or a positive errno (ENOBUFS: too much is queued already).
 */
int exec_send(struct exec_child *child, const char *bytes, size_t len);

/* No more frames come from us: it reads the end of the channel. */
void exec_end_send(struct exec_child *child);

/* 0: there is no process yet, or never was. One that is may not have executed its program yet. */
pid_t exec_pid(const struct exec_child *child);

#endif
