/* A file of lines, written off the loop by one libuv work item at a time. It is rotated by size
 * (PATH.1 the newest … PATH.N), reopened when an external logrotate renamed or deleted it, and when
 * the disk takes nothing any more, lines are dropped and counted instead of kept. */
#ifndef AGENT_UTIL_LOGFILE_H
#define AGENT_UTIL_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct logfile;

struct logfile_options {
    const char *path;     /* copied; NULL: write to stderr, no rotation */
    uint64_t rotate_size; /* bytes; no rotation when this or the count is 0 */
    unsigned rotate_count;
    size_t buffer_max; /* bytes waiting at most */
    /* Called from the loop after lines were lost and writing works again; why is an errno. */
    void (*on_lost)(void *arg, uint64_t lines, int why);
    void *arg;
};

/* Nothing is opened before the first line. NULL: no memory. */
struct logfile *logfile_new(uv_loop_t *loop, const struct logfile_options *options);

/* Takes other options from the next write on. false: no memory, the old ones stay. */
bool logfile_configure(struct logfile *f, const struct logfile_options *options);

/* Takes whole lines, with their newlines. false: the buffer is full; they are counted as lost. */
bool logfile_append(struct logfile *f, const char *lines, size_t n);

/* Calls done(arg) from the loop when everything appended so far was written or lost. false: no
 * memory. */
bool logfile_flush(struct logfile *f, void (*done)(void *arg), void *arg);

/* Blocks until everything was written or lost; false: still not after so long. The loop need not
 * run. */
bool logfile_drain(struct logfile *f, unsigned deadline_ms);

/* Lines lost since logfile_new(). */
uint64_t logfile_lost(struct logfile *f);

/* Frees it, when a write is under way after that one's end on the loop. Lines not yet taken by a
 * write are gone: drain first. */
void logfile_close(struct logfile *f);

#endif
