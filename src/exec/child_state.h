/* The inside of a child, for child.c and pipes.c. */
#ifndef AGENT_EXEC_CHILD_STATE_H
#define AGENT_EXEC_CHILD_STATE_H

#include "exec/child.h"
#include "exec/ends.h"
#include "exec/frame.h"
#include "exec/pen.h"
#include "exec/room.h"

enum stage { RUNNING, TERMINATING, KILLED, STUCK, CANCELLED /* before its start began */ };

struct start;

struct output {
    uv_poll_t poll;
    int fd; /* -1: it is over */
    struct buffer bytes;
};

struct exec_child {
    struct room_member member; /* first: exec_room_close() finds the child by it */
    struct exec_room *room;
    struct start *start; /* NULL: it is over */
    struct pen *pen;     /* its cgroup; NULL: none */
    struct exec_events events;
    void *ctx;
    uv_timer_t timer;    /* the next step of the current stage */
    uv_timer_t look;     /* for output: at first, and between two gulps that are thrown away */
    uv_poll_t exit_poll; /* on pidfd, or else: */
    uv_timer_t exit_timer;
    uv_pipe_t input, channel;
    struct output outputs[2]; /* stdout, stderr */
    int pidfd;
    int handles;  /* not closed yet */
    bool reading; /* output is read as it comes */
    size_t gulp;  /* bytes thrown away since the last pause */
    struct frame_parser frames;
    uint64_t grace_ms;
    uint64_t began, ended; /* clock_mono_ns() */
    enum stage stage;
    bool exited, drained, reported;
    struct exec_result result;
};

/* A handle belongs to the child from its init on; its memory goes when the last one is closed. */
void child_adopt(struct exec_child *c, void *handle);
bool child_is_open(const void *handle);
void child_close_one(void *handle);

/* Its process, also one that has not executed the program yet; 0: none that could be signalled. */
pid_t child_pid(const struct exec_child *c);

/* From now on, whatever the loop's own time is. */
int child_next_step(struct exec_child *c, uint64_t ms);

/* It has started, or (result.error) has not. */
void child_started(struct exec_child *c, int pidfd);
void child_failed(struct exec_child *c);

void child_dispose(struct exec_child *c);

/* start.c: true when the start had not begun and never will. */
bool start_cancel(struct exec_child *c);
struct job *start_job(struct start *start);
pid_t start_pid(const struct start *start);
void start_forget(struct exec_child *c);

/* Looks whether it is over now, and reports it then. */
void child_settle(struct exec_child *c);

/* Give descriptors, unless they are -1, to the child and set them to -1. 0 or a libuv error. */
int child_open_pipes(struct exec_child *c, int *input, int *channel);
int output_attach(struct exec_child *c, int *out, int *err);

bool output_open(const struct exec_child *c);
void output_close_all(struct exec_child *c);

/* What there is now; from now on, also what comes. */
void output_read(struct exec_child *c);

/* 0 or a positive errno. */
int child_write_input(struct exec_child *c, const char *bytes, size_t len);

#endif
