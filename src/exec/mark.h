/* Which run a process belongs to, whatever it did to leave: each run gets a hard limit of real-time
 * CPU (RLIMIT_RTTIME, setrlimit(2)) of its own, ages high. Children inherit it, nobody without
 * privileges may raise it, and everybody may read it (/proc/PID/limits, proc(5)). */
#ifndef AGENT_EXEC_MARK_H
#define AGENT_EXEC_MARK_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct marks {
    uint64_t top;  /* our own limit, or the highest that we give */
    uint64_t step; /* between two runs: room for the marks of a program like us among them */
    uint32_t last; /* the newest run; 0: none yet */
};

/* Below the hard limit `own`. */
void marks_init(struct marks *m, rlim_t own);

/* The number of a new run, the same again after 2^30. 0: `own` is too low for marks. */
uint32_t marks_next(struct marks *m);

/* The limit for run > 0. */
rlim_t mark_limit(const struct marks *m, uint32_t run);

/* The run whose mark that is, or a mark below it; 0: none. */
uint32_t mark_run(const struct marks *m, rlim_t limit);

/* The hard limit in the text of /proc/PID/limits; RLIM_INFINITY: there is none. */
rlim_t mark_parse(const char *limits);

/* mark_run() of a process; 0 also when it can't be told. */
uint32_t mark_run_of(const struct marks *m, pid_t pid);

#endif
