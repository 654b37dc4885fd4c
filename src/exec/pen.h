/* Which run has which cgroup. A pen is kept between the runs of one plugin, since making a cgroup
 * costs more than a run needs it; it is removed when it was idle for long. */
#ifndef AGENT_EXEC_PEN_H
#define AGENT_EXEC_PEN_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/cgroup.h"

struct exec_room;

struct pen {
    struct pen *next;
    unsigned users;             /* a run, and jobs that kill or remove */
    uint64_t idle_since;        /* uv_now() */
    struct cgroup_limits wrote; /* owned by the thread while a run starts */
    char name[CGROUP_NAME];     /* of the directory: NAME~NUMBER */
};

/* One that nobody uses, for a run called `name` (at most CGROUP_NAME - 16 bytes, no '/'). NULL: no
 * memory, or no cgroups here. */
struct pen *pen_take(struct exec_room *room, const char *name);

/* Kills what is in there, in a thread. */
void pen_kill(struct exec_room *room, struct pen *pen);

/* The run is over: what is left of it is killed, if it ever was in there. Whether there was some.
 */
bool pen_release(struct exec_room *room, struct pen *pen, bool entered);

/* Kills everything in all pens and removes them. Waits for a moment: only for the end. */
void pen_close_all(struct exec_room *room);

#endif
