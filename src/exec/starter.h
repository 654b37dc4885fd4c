/* Threads that start children, since starting may hang: the working directory or the program may
 * lie on a file system that does not answer. Whoever forks waits until the child has executed.
 *
 * One thread does all while it can; while it hangs another takes over, up to STARTER_THREADS.
 * None ever ends before the starter is closed: the kernel sends a child its death signal
 * (PR_SET_PDEATHSIG) when the thread ends that forked it. Allocates nothing in the threads. */
#ifndef AGENT_EXEC_STARTER_H
#define AGENT_EXEC_STARTER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { STARTER_THREADS = 4, STARTER_QUEUE = 1024 };

struct job {
    void (*work)(struct job *); /* in a thread, with all signals blocked */
    void (*done)(struct job *); /* on the loop; the job is the owner's again */
    /* instead of done(), when the starter was closed meanwhile: in any thread; frees the job */
    void (*drop)(struct job *);
    struct job *next;
    bool quiet; /* set by work(): done() may wait until the loop asks, see starter_collect() */
    bool wanted;
    bool waited_for; /* keeps the loop running; see starter_forget() */
};

struct starter;

/* NULL: no memory. Threads begin with the first job. `gone` is called when the last one has left,
 * in any thread. */
struct starter *starter_open(uv_loop_t *loop, void (*gone)(void *ctx), void *ctx);

/* done() is called for no job any more. Memory goes when the last thread has left: with one that
 * hangs, not soon. */
void starter_close(struct starter *s);

/* 0, or a positive errno: EAGAIN when every thread hangs or too many jobs wait, or what
 * pthread_create() said. */
int starter_submit(struct starter *s, struct job *job);

/* true: it had not begun and never will, the job is the owner's again. */
bool starter_cancel(struct starter *s, struct job *job);

/* Calls done() for all jobs that have finished; `job`, if it hasn't, will not be quiet about it. */
void starter_collect(struct starter *s, struct job *job);

/* The loop may end although the job has not: it may never do. */
void starter_forget(struct starter *s, struct job *job);

#endif
