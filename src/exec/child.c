#include "exec/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/child_state.h"
#include "exec/family.h"
#include "util/clock.h"

enum {
    KILL_WAIT_MS = 500, /* at least so long after KILL before a child counts as stuck */
    POLL_EXIT_MS = 20,  /* where the kernel has no pidfd */
};

static void handle_closed(uv_handle_t *handle) {
    struct exec_child *c = handle->data;
    if (--c->handles > 0) {
        return;
    }
    if (c->events.closed) {
        c->events.closed(c->ctx);
    }
    buffer_free(&c->out);
    buffer_free(&c->err);
    frame_free(&c->frames);
    free(c);
}

void child_adopt(struct exec_child *c, void *handle) {
    ((uv_handle_t *)handle)->data = c;
    c->handles++;
}

bool child_is_open(const void *handle) {
    const uv_handle_t *h = handle;
    return h->data && !uv_is_closing(h);
}

void child_close_one(void *handle) {
    if (child_is_open(handle)) {
        uv_close(handle, handle_closed);
    }
}

static void close_exit_watch(struct exec_child *c) {
    child_close_one(&c->exit_poll);
    child_close_one(&c->exit_timer);
    if (c->pidfd >= 0) {
        close(c->pidfd);
        c->pidfd = -1;
    }
}

static void close_pipes(struct exec_child *c) {
    for (int i = 0; i < SPAWN_FDS; i++) {
        child_close_one(&c->pipes[i]);
    }
}

static void dispose(struct exec_child *c) {
    close_pipes(c);
    close_exit_watch(c);
    child_close_one(&c->timer);
    child_close_one(&c->pause);
}

static bool has_exited(const struct exec_child *c) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)c->member.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == c->member.pid;
}

static void on_timer(uv_timer_t *timer);

/* From now on: the loop's own time may be old, starting a process takes a while. */
static int next_step(struct exec_child *c, uint64_t ms) {
    uv_update_time(c->room->loop);
    return uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer) {
    struct exec_child *c = timer->data;
    if (!c->exited && has_exited(c)) {
        return; /* its event waits in this very turn of the loop */
    }
    if (c->exited) {
        c->drained = true;
        child_settle(c);
    } else if (c->stage == RUNNING) {
        c->result.timed_out = true;
        exec_kill(c, false);
    } else if (c->stage == TERMINATING) {
        exec_kill(c, true);
    } else {
        c->stage = STUCK;
        child_settle(c);
    }
}

void exec_kill(struct exec_child *c, bool at_once) {
    if (c->exited || c->stage >= KILLED || (c->stage == TERMINATING && !at_once)) {
        return;
    }
    if (at_once) {
        c->stage = KILLED;
        family_signal(c->member.pid, SIGKILL);
        next_step(c, c->grace_ms > KILL_WAIT_MS ? c->grace_ms : KILL_WAIT_MS);
        return;
    }
    c->stage = TERMINATING;
    kill(-c->member.pid, SIGTERM);
    next_step(c, c->grace_ms);
}

/* Until now the zombie kept its number from being used again, so the group is still its own. */
static void reap(struct exec_child *c) {
    int status = 0;
    kill(-c->member.pid, SIGKILL);
    wait4(c->member.pid, &status, WNOHANG, &c->result.usage);
    c->result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    c->result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    room_leave(c->room, &c->member);
    room_sweep(c->room);
}

static void report(struct exec_child *c) {
    c->reported = true;
    c->result.duration_ns = (c->exited ? c->ended : clock_mono_ns()) - c->began;
    c->result.out = &c->out;
    c->result.err = &c->err;
    if (c->events.done) {
        c->events.done(c->ctx, &c->result);
    }
}

static void report_stuck(struct exec_child *c) {
    c->result.stuck = true;
    c->result.timed_out = true;
    c->result.code = -1;
    c->member.forever = true;
    close_pipes(c);
    uv_timer_stop(&c->timer);
    uv_timer_stop(&c->pause);
    uv_unref((uv_handle_t *)(child_is_open(&c->exit_poll) ? (void *)&c->exit_poll
                                                          : (void *)&c->exit_timer));
    report(c);
}

static bool output_open(const struct exec_child *c) {
    return child_is_open(&c->pipes[OUT]) || child_is_open(&c->pipes[ERR]) ||
           child_is_open(&c->pipes[CHANNEL]);
}

void child_settle(struct exec_child *c) {
    if (!c->exited) {
        if (c->stage == STUCK && !c->reported) {
            report_stuck(c);
        }
        return;
    }
    if (c->reported) {
        if (c->events.gone) {
            c->events.gone(c->ctx);
        }
        dispose(c);
        return;
    }
    if (output_open(c) && !c->drained) {
        return;
    }
    reap(c);
    report(c);
    dispose(c);
}

static void on_exit_seen(struct exec_child *c) {
    if (c->exited || !has_exited(c)) {
        return;
    }
    c->exited = true;
    c->ended = clock_mono_ns();
    close_exit_watch(c);
    if (c->reported) {
        reap(c);
    } else {
        next_step(c, c->grace_ms);
    }
    child_settle(c);
}

static void on_pidfd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    on_exit_seen(poll->data);
}

static void on_exit_timer(uv_timer_t *timer) {
    on_exit_seen(timer->data);
}

pid_t exec_pid(const struct exec_child *c) {
    return c->member.pid;
}

/* Kernels before 5.3 have no pidfd, or one that can't be waited for. */
static int watch_exit_by_timer(struct exec_child *c) {
    uv_timer_init(c->room->loop, &c->exit_timer);
    child_adopt(c, &c->exit_timer);
    return uv_timer_start(&c->exit_timer, on_exit_timer, POLL_EXIT_MS, POLL_EXIT_MS);
}

static int watch_exit(struct exec_child *c) {
    if (c->pidfd < 0 || uv_poll_init(c->room->loop, &c->exit_poll, c->pidfd) < 0) {
        return watch_exit_by_timer(c);
    }
    child_adopt(c, &c->exit_poll);
    return uv_poll_start(&c->exit_poll, UV_READABLE, on_pidfd);
}

static int attach(struct exec_child *c, struct ends *e, const struct exec_options *o) {
    int rc = uv_timer_init(c->room->loop, &c->timer);
    child_adopt(c, &c->timer);
    uv_timer_init(c->room->loop, &c->pause);
    child_adopt(c, &c->pause);
    for (int i = 0; rc == 0 && i < SPAWN_FDS; i++) {
        rc = child_open_pipe(c, i, &e->ours[i]);
    }
    if (rc == 0) {
        rc = watch_exit(c);
    }
    if (rc == 0 && o->input) {
        rc = -child_write_input(c, o->input, o->input_len);
    }
    if (rc == 0 && o->deadline_ms) {
        rc = next_step(c, o->deadline_ms);
    }
    return rc;
}

static struct exec_child *new_child(struct exec_room *room, const struct exec_options *o) {
    struct exec_child *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->room = room;
    c->grace_ms = o->grace_ms;
    c->began = clock_mono_ns();
    c->member.started = family_ticks();
    c->member.forever = o->deadline_ms == 0;
    buffer_init(&c->out, o->max_output);
    buffer_init(&c->err, o->max_output);
    frame_init(&c->frames);
    return c;
}

struct exec_child *exec_start(struct exec_room *room, const struct exec_options *o,
                              const struct exec_events *events, void *ctx, int *error,
                              const char **step) {
    struct ends e;
    struct exec_child *c = new_child(room, o);
    *step = "open";
    *error = ENOMEM;
    if (!c) {
        return NULL;
    }
    if (!ends_open(&e, o->input, o->channel)) {
        *error = errno;
        goto failed;
    }
    struct spawn_plan plan = o->plan;
    struct spawned child;
    memcpy(plan.fds, e.theirs, sizeof plan.fds);
    *error = spawn(&plan, &child, step);
    if (*error) {
        goto failed;
    }
    ends_close(e.theirs);
    c->member.pid = child.pid;
    c->pidfd = child.pidfd;
    room_join(room, &c->member);
    int rc = attach(c, &e, o);
    ends_close(e.ours);
    if (rc < 0) {
        kill(-child.pid, SIGKILL);
        waitpid(child.pid, NULL, 0);
        room_leave(room, &c->member);
        dispose(c);
        *step = "watch";
        *error = -rc;
        return NULL;
    }
    c->events = *events;
    c->ctx = ctx;
    return c;
failed:
    ends_close(e.ours);
    ends_close(e.theirs);
    free(c);
    return NULL;
}

struct exec_room *exec_room_open(uv_loop_t *loop) {
    return room_open(loop);
}

void exec_room_close(struct exec_room *room) {
    while (room->first) {
        struct exec_child *c = (struct exec_child *)room->first;
        family_signal(c->member.pid, SIGKILL);
        c->events = (struct exec_events){0};
        c->reported = true;
        room_leave(room, &c->member);
        dispose(c);
    }
    room_close(room);
}
