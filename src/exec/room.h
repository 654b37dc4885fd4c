/* All children of one loop, and the orphans that they leave to us, their subreaper. */
#ifndef AGENT_EXEC_ROOM_H
#define AGENT_EXEC_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "exec/cgroup.h"
#include "exec/cull.h"
#include "exec/mark.h"
#include "exec/starter.h"

struct pen;

struct room_member {
    pid_t pid;        /* 0: not started yet, or nobody was told */
    uint32_t run;     /* its mark; 0: none */
    uint64_t started; /* family_ticks() before its start */
    bool forever;     /* runs without a deadline: no orphan without a mark waits for its end */
    bool killed;      /* no orphan does */
    struct room_member *next;
};

struct exec_room {
    uv_loop_t *loop;
    atomic_int users; /* the timer and the starter, whose threads may stay for long */
    uv_timer_t sweep_timer;
    unsigned sweeps; /* in a row, for the pause between them */
    unsigned calm;   /* the last of them that saw nobody */
    struct marks marks;
    struct cull cull;
    bool culling; /* a round of it is on its way */
    struct room_member *first;
    struct starter *starter;
    struct cgroup_tree cgroups;
    struct pen *pens;
    uint64_t pens_looked; /* uv_now() of the last search for pens that nobody uses */
    char *
        scratch; /* ROOM_SCRATCH bytes that every read goes through; only while there are members */
};

enum { ROOM_SCRATCH = 64 * 1024 };

/* Allocated here, owned by the caller until room_close(). Makes the process a subreaper. */
struct exec_room *room_open(uv_loop_t *loop);

/* Kills the orphans: blocks up to 100 ms when there are any. */
void room_close(struct exec_room *room);

void room_join(struct exec_room *room, struct room_member *member);
void room_leave(struct exec_room *room, struct room_member *member);

/* NULL: no memory. */
char *room_scratch(struct exec_room *room);

/* Reaps dead orphans and ends living ones whose origin is gone; comes back by itself, with growing
 * pauses, while there are any.
 *
 * An orphan's mark tells its origin. One without a mark is spared while any child runs that was
 * started before it and has a deadline. Processes of our own session are no orphans (a child leads
 * a session of its own); as process 1 we adopt strangers too, so there the living are left alone.
 *
 * expected: there are some, though they need not be ours yet, and the kernel's list of children
 * that come and go may be short. Then it isn't over at the first sight of nobody. */
void room_sweep(struct exec_room *room, bool expected);

#endif
