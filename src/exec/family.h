/* Who descends from a process, by /proc: the way to those that left its process group with setsid.
 */
#ifndef AGENT_EXEC_FAMILY_H
#define AGENT_EXEC_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of one walk, which is over too when it took so long: a fork bomb must not keep us busy for ever.
 */
enum { FAMILY_MAX = 1024, FAMILY_MS = 5 };

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

/* Sends `sig` to `pid`, to the group that it leads, and to all that descend from it. Who is missed
 * in a large family becomes an orphan. */
void family_signal(pid_t pid, int sig);

/* Now, as family_stat.start counts it. */
uint64_t family_ticks(void);

#endif
