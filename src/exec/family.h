/* Who descends from a process, by /proc: the way to those that left its process group with setsid.
 */
#ifndef AGENT_EXEC_FAMILY_H
#define AGENT_EXEC_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { FAMILY_MAX = 1024, KIN_MAX = 4096 };

/* As long as the end of a family may hold up the loop. */
enum { FAMILY_MS = 5 };

struct kin {
    pid_t pid;      /* 0: gone meanwhile */
    uint64_t start; /* as family_stat.start; 0: not looked at yet */
};

struct family_stat {
    char state; /* 'Z': only waits to be reaped */
    pid_t parent;
    pid_t group;
    pid_t session;
    uint64_t start; /* clock ticks since boot */
};

/* The children of `pid` by all its threads, at most `max`. Returns how many. */
int family_children(pid_t pid, pid_t *children, int max);

/* Our own children, adopted orphans among them: the kernel gives those to the first thread. */
int family_adopted(pid_t *children, int max);

/* false: no such process (any more). */
bool family_read_stat(pid_t pid, struct family_stat *st);

/* The same for text that was read already: a program's name may hold blanks and parentheses. */
bool family_parse_stat(const char *text, struct family_stat *st);

/* SIGSTOPs the first `n` of all[KIN_MAX] and whoever descends from them, who are added, until a
 * walk met nobody who could still fork, or `ms` are over. Blocks so long; returns the new n.
 *
 * A family that breeds must stand still before it is killed: under a limit of processes each one
 * killed is a place for a new one, each one stopped is a place taken. */
int family_stop(struct kin *all, int n, unsigned ms);

/* SIGKILLs those who are still who they were. */
void family_kill(const struct kin *all, int n);

/* Both, for `pid`, whoever descends from it and the group that it leads. Blocks up to about `ms`.
 */
void family_end(pid_t pid, unsigned ms);

/* Now, as family_stat.start counts it. */
uint64_t family_ticks(void);

#endif
