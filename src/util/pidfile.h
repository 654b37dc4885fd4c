/* A file with the pid of the process that holds its lock. The lock says who lives, not the file:
 * two bytes of it are locked (open file description locks), the first from the start, the second
 * when the pid inside is that of the holder. */
#ifndef AGENT_UTIL_PIDFILE_H
#define AGENT_UTIL_PIDFILE_H

#include <stdbool.h>
#include <sys/types.h>

enum pidfile_answer {
    PIDFILE_OK,
    PIDFILE_HELD,   /* *pid holds it; 0: it is just starting */
    PIDFILE_ABSENT, /* no such file */
    PIDFILE_STALE,  /* the file is there and nobody holds it */
    PIDFILE_ERROR   /* errno says why */
};

/* Creates the file (0644) and the directories above it, locks it and writes the pid. *fd, the
 * caller's, keeps the lock until it is closed. */
enum pidfile_answer pidfile_acquire(const char *path, int *fd, pid_t *pid);

/* Unlinks the file and closes fd. */
void pidfile_release(const char *path, int fd);

/* PIDFILE_HELD with the holder's pid, or why there is none. Takes no lock itself. */
enum pidfile_answer pidfile_holder(const char *path, pid_t *pid);

enum pidfile_stop {
    PIDFILE_STOPPED,
    PIDFILE_NOT_RUNNING, /* *answer says why */
    PIDFILE_NO_SIGNAL,   /* errno says why */
    PIDFILE_STILL_THERE  /* signalled, but alive after the deadline */
};

/* Sends the signal to the holder and blocks until it has ended, at most so long; then removes the
 * file. */
enum pidfile_stop pidfile_stop(const char *path, int signal, int deadline_ms, pid_t *pid,
                               enum pidfile_answer *answer);

#endif
