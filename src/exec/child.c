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
    buffer_free(&c->outputs[0].bytes);
    buffer_free(&c->outputs[1].bytes);
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
    child_close_one(&c->input);
    child_close_one(&c->channel);
    output_close_all(c);
}

void child_dispose(struct exec_child *c) {
    close_pipes(c);
    close_exit_watch(c);
    child_close_one(&c->timer);
    child_close_one(&c->look);
}

pid_t child_pid(const struct exec_child *c) {
    return c->start ? start_pid(c->start) : c->member.pid;
}

static bool has_exited(const struct exec_child *c) {
    siginfo_t info = {0};
    return c->member.pid > 0 &&
           waitid(P_PID, (id_t)c->member.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == c->member.pid;
}

static void on_timer(uv_timer_t *timer);

int child_next_step(struct exec_child *c, uint64_t ms) {
    uv_update_time(c->room->loop);
    return uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer) {
    struct exec_child *c = timer->data;
    if (c->start) {
        starter_collect(c->room->starter, start_job(c->start));
        if (c->exited) {
            return;
        }
    }
    if (!c->exited && has_exited(c)) {
        return; /* its event waits in this very turn of the loop */
    }
    if (c->exited) {
        c->drained = true;
        child_settle(c);
    } else if (c->stage == CANCELLED) {
        child_failed(c);
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

/* Told later, never from within exec_kill(). */
static void cancel(struct exec_child *c, int sig) {
    c->stage = CANCELLED;
    if (c->result.timed_out) {
        c->result.error = ETIMEDOUT;
        c->result.step = "start";
    } else {
        c->result.signal = sig;
    }
    child_next_step(c, 0);
}

/* Group 0 would be our own. */
static void signal_group(pid_t pid, int sig) {
    if (pid > 1) {
        kill(-pid, sig);
    }
}

static void kill_whole(struct exec_child *c) {
    family_end(child_pid(c), FAMILY_MS);
    if (c->pen) {
        pen_kill(c->room, c->pen);
    }
}

void exec_kill(struct exec_child *c, bool at_once) {
    if (c->exited || c->stage >= KILLED || (c->stage == TERMINATING && !at_once)) {
        return;
    }
    if (c->start && start_cancel(c)) {
        cancel(c, at_once ? SIGKILL : SIGTERM);
    } else if (at_once) {
        c->stage = KILLED;
        c->member.killed = true;
        kill_whole(c);
        child_next_step(c, c->grace_ms > KILL_WAIT_MS ? c->grace_ms : KILL_WAIT_MS);
    } else {
        c->stage = TERMINATING;
        signal_group(child_pid(c), SIGTERM);
        child_next_step(c, c->grace_ms);
    }
}

/* Whether somebody is left in it, who is killed then. */
static bool leave_pen(struct exec_child *c) {
    if (!c->pen) {
        return false;
    }
    if (c->result.in_cgroup) {
        c->result.memory_peak = cgroup_memory_peak(&c->room->cgroups, c->pen->name);
    }
    bool populated = pen_release(c->room, c->pen, c->result.in_cgroup);
    c->pen = NULL;
    return populated;
}

/* Until now the zombie kept its number from being used again, so the group is still its own. */
static void reap(struct exec_child *c) {
    int status = 0;
    signal_group(c->member.pid, SIGKILL);
    wait4(c->member.pid, &status, WNOHANG, &c->result.usage);
    c->result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    c->result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool left = c->stage >= KILLED || (c->member.pid > 1 && kill(-c->member.pid, 0) == 0);
    left = leave_pen(c) || left;
    room_leave(c->room, &c->member);
    room_sweep(c->room, left);
}

static void report(struct exec_child *c) {
    c->reported = true;
    c->result.duration_ns = (c->exited ? c->ended : clock_mono_ns()) - c->began;
    c->result.out = &c->outputs[0].bytes;
    c->result.err = &c->outputs[1].bytes;
    if (c->events.done) {
        c->events.done(c->ctx, &c->result);
    }
}

static void unref_exit_watch(struct exec_child *c) {
    uv_unref((uv_handle_t *)(child_is_open(&c->exit_poll) ? (void *)&c->exit_poll
                                                          : (void *)&c->exit_timer));
}

static void report_stuck(struct exec_child *c) {
    c->result.stuck = true;
    c->result.timed_out = true;
    c->result.code = -1;
    close_pipes(c);
    uv_timer_stop(&c->timer);
    uv_timer_stop(&c->look);
    if (c->start) {
        start_forget(c);
    } else {
        unref_exit_watch(c);
    }
    room_sweep(c->room, true);
    report(c);
}

static void tell_gone(struct exec_child *c) {
    if (c->events.gone) {
        c->events.gone(c->ctx);
    }
    child_dispose(c);
}

void child_settle(struct exec_child *c) {
    if (!c->exited) {
        if (c->stage == STUCK && !c->reported) {
            report_stuck(c);
        }
        return;
    }
    if (c->reported) {
        tell_gone(c);
        return;
    }
    if ((output_open(c) || child_is_open(&c->channel)) && !c->drained) {
        return;
    }
    reap(c);
    report(c);
    child_dispose(c);
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
        child_next_step(c, c->grace_ms);
        output_read(c);
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
    return child_pid(c);
}

/* Kernels before 5.3 have no pidfd, or one that can't be waited for. */
static void watch_exit(struct exec_child *c) {
    if (c->pidfd >= 0 && uv_poll_init(c->room->loop, &c->exit_poll, c->pidfd) == 0) {
        child_adopt(c, &c->exit_poll);
        uv_poll_start(&c->exit_poll, UV_READABLE, on_pidfd);
        return;
    }
    uv_timer_init(c->room->loop, &c->exit_timer);
    child_adopt(c, &c->exit_timer);
    uv_timer_start(&c->exit_timer, on_exit_timer, POLL_EXIT_MS, POLL_EXIT_MS);
}

void child_started(struct exec_child *c, int pidfd) {
    c->pidfd = pidfd;
    if (has_exited(c)) {
        on_exit_seen(c);
        return;
    }
    watch_exit(c);
    if (c->reported) {
        unref_exit_watch(c);
    }
    /* Who asked for its end may have asked before there was a process. */
    if (c->stage == TERMINATING) {
        signal_group(c->member.pid, SIGTERM);
    } else if (c->stage >= KILLED) {
        kill_whole(c);
    }
}

void child_failed(struct exec_child *c) {
    c->result.code = -1;
    c->exited = true;
    c->ended = clock_mono_ns();
    leave_pen(c);
    room_leave(c->room, &c->member);
    if (c->reported) {
        tell_gone(c);
    } else {
        report(c);
        child_dispose(c);
    }
}

const struct cgroup_tree *exec_cgroups(const struct exec_room *room) {
    return atomic_load(&room->cgroups.tried) ? &room->cgroups : NULL;
}

struct exec_room *exec_room_open(uv_loop_t *loop) {
    return room_open(loop);
}

void exec_room_close(struct exec_room *room) {
    while (room->first) {
        struct exec_child *c = (struct exec_child *)room->first;
        family_end(child_pid(c), FAMILY_MS);
        c->events = (struct exec_events){0};
        c->reported = true;
        room_leave(room, &c->member);
        child_dispose(c);
    }
    room_close(room);
}
