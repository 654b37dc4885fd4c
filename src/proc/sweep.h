/* One walk over all processes for any number of executables: the link PID/exe of everyone, and more
 * only of those that match. In slices, since tens of thousands of processes take longer than the
 * loop may wait. Nothing is remembered of a process that does not match: another execve(2) may
 * change its executable at any time, and reading what tells so is dearer than the link. */
#ifndef AGENT_PROC_SWEEP_H
#define AGENT_PROC_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROC_SWEEP_PATHS = 65536,
    PROC_SWEEP_PATH = 4096, /* bytes of one */
    PROC_SWEEP_MATCHES = 1 << 18,
};

struct proc_path {
    const char *bytes;
    size_t len;
};

struct proc_match {
    int pid;
    uint32_t path;  /* which of those looked for */
    uint64_t start; /* ticks after boot */
    uint64_t ticks;
    uint64_t pages;
    uint64_t read; /* bytes */
    uint64_t written;
    uint32_t fds;
    bool deleted;   /* its executable's file was removed or replaced */
    bool io_known;  /* else not ours to see, or not kept by this kernel */
    bool fds_known; /* likewise */
};

struct proc_sweep;

/* Begins a walk below `root`, an open directory. The paths, which must differ, are copied. NULL:
 * *error is a negative errno. */
struct proc_sweep *proc_sweep_open(int root, const struct proc_path *paths, size_t count,
                                   int *error);

/* Goes on until `until` of clock_mono_ns(), but for one process at least. 1: all are done; 0: not
 * yet; or a negative errno, which ends it. */
int proc_sweep_step(struct proc_sweep *s, uint64_t until);

/* After the end: those that match path number `path`, by ascending pid. They live as long as the
 * sweep. */
const struct proc_match *proc_sweep_matches(const struct proc_sweep *s, size_t path, size_t *count);

/* How many processes hide their executable from us. */
unsigned proc_sweep_hidden(const struct proc_sweep *s);

/* What the earlier sweep knew of the same process with the same executable, or NULL. */
const struct proc_match *proc_sweep_before(const struct proc_sweep *earlier,
                                           const struct proc_sweep *now,
                                           const struct proc_match *match);

void proc_sweep_close(struct proc_sweep *s);

/* Several processes as one; zeroed before the first. */
struct proc_sums {
    unsigned processes;
    unsigned deleted;
    unsigned no_fds; /* processes whose number of descriptors, or I/O, is not known */
    unsigned no_io;
    uint64_t fds;
    uint64_t pages;
    unsigned
        measured; /* processes that the sweep before has seen, too: what follows is since then */
    unsigned io_measured;
    uint64_t ticks;
    uint64_t read;
    uint64_t written;
};

/* Adds one; `before` may be NULL. */
void proc_sums_add(struct proc_sums *sums, const struct proc_match *match,
                   const struct proc_match *before);

#endif
