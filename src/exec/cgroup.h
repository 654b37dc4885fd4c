/* Cgroups (v2 only) of runs, below our own: OURS/agent/PID.START/NAME. What is in one can be ended
 * whole, however it forked; and where controllers are handed down to us, it is limited there.
 *
 * Controllers are only switched on where that is ours to do: they are handed down by the cgroup
 * above, or the cgroup is marked as delegated (systemd: Delegate=yes); then we move into
 * OURS/supervisor, since a cgroup with processes can't hand anything down. Files of cgroup2 and
 * nothing else are touched, by threads of the starter; those marked (loop) are only quick reads. */
#ifndef AGENT_EXEC_CGROUP_H
#define AGENT_EXEC_CGROUP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CGROUP_PATH = 512, CGROUP_NAME = 240, CGROUP_ID = 56 };

struct cgroup_limits { /* 0: none */
    uint64_t memory;   /* bytes */
    uint64_t cpu;      /* thousandths of a core */
    uint64_t pids;
};

struct cgroup_tree {
    pthread_mutex_t lock; /* of the search; what it finds stays */
    atomic_bool tried;
    char dir[CGROUP_PATH]; /* "": no cgroups for us */
    char why[160];         /* then the reason */
    bool memory, cpu, pids;
};

void cgroup_tree_init(struct cgroup_tree *t);

/* Where our own cgroup is mounted, by the text of /proc/self/cgroup and /proc/self/mountinfo.
 * Returns why it isn't, or NULL. */
const char *cgroup_locate(const char *self, const char *mountinfo, char dir[CGROUP_PATH]);

/* The first call finds the place, removes what crashed agents left there, and makes our directory.
 */
bool cgroup_tree_open(struct cgroup_tree *t);

/* The same below a directory that is known. */
bool cgroup_tree_open_at(struct cgroup_tree *t, const char *ours);

/* Ends everything below, waits a moment for it, removes it. Nothing can be made there any more. */
void cgroup_tree_close(struct cgroup_tree *t);

/* Makes the cgroup unless it is there, with limits (`wrote`: what it has already, updated). Returns
 * a descriptor of its directory, or -1. */
int cgroup_prepare(const struct cgroup_tree *t, const char *name,
                   const struct cgroup_limits *limits, struct cgroup_limits *wrote);

/* Whether a process is in it or below. Only of what cgroup_prepare() made. (loop) */
bool cgroup_populated(const struct cgroup_tree *t, const char *name);

/* The most memory that it had, 0 when that is not known. (loop) */
uint64_t cgroup_memory_peak(const struct cgroup_tree *t, const char *name);

void cgroup_kill(const struct cgroup_tree *t, const char *name);

/* With all below; not when a process is in there. */
void cgroup_remove(const struct cgroup_tree *t, const char *name);

#endif
