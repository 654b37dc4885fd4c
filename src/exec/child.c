#include "exec/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/ends.h"
#include "exec/family.h"
#include "exec/frame.h"
#include "exec/room.h"
#include "util/clock.h"

enum {
    KILL_WAIT_MS = 500, /* at least so long after KILL before a child counts as stuck */
    POLL_EXIT_MS = 20,  /* where the kernel has no pidfd */
    QUEUE_MAX = 2 * FRAME_MAX,
};

enum stage { RUNNING, TERMINATING, KILLED, STUCK };

struct exec_child {
    struct room_member member; /* first: exec_room_close() finds the child by it */
    struct exec_room *room;
    struct exec_events events;
    void *ctx;
    uv_timer_t timer;    /* the next step of the current stage */
    uv_poll_t exit_poll; /* on pidfd, or else: */
    uv_timer_t exit_timer;
    uv_pipe_t pipes[SPAWN_FDS];
    int pidfd;
    int handles; /* not closed yet */
    struct buffer out, err;
    struct frame_parser frames;
    uint64_t grace_ms;
    uint64_t began, ended; /* clock_mono_ns() */
    enum stage stage;
    bool exited, drained, reported;
    struct exec_result result;
};

static void settle(struct exec_child *c);

/* --- closing --- */

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

/* A handle belongs to the child from its init on, which sets data. */
static void adopt(struct exec_child *c, void *handle) {
    ((uv_handle_t *)handle)->data = c;
    c->handles++;
}

static bool is_open(const void *handle) {
    const uv_handle_t *h = handle;
    return h->data && !uv_is_closing(h);
}

static void close_one(void *handle) {
    if (is_open(handle)) {
        uv_close(handle, handle_closed);
    }
}

static void close_exit_watch(struct exec_child *c) {
    close_one(&c->exit_poll);
    close_one(&c->exit_timer);
    if (c->pidfd >= 0) {
        close(c->pidfd);
        c->pidfd = -1;
    }
}

static void close_pipes(struct exec_child *c) {
    for (int i = 0; i < SPAWN_FDS; i++) {
        close_one(&c->pipes[i]);
    }
}

static void dispose(struct exec_child *c) {
    close_pipes(c);
    close_exit_watch(c);
    close_one(&c->timer);
}

/* --- killing --- */

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
        settle(c);
    } else if (c->stage == RUNNING) {
        c->result.timed_out = true;
        exec_kill(c, false);
    } else if (c->stage == TERMINATING) {
        exec_kill(c, true);
    } else {
        c->stage = STUCK;
        settle(c);
    }
}

void exec_kill(struct exec_child *c, bool at_once) {
    if (c->exited || c->stage >= KILLED || (c->stage == TERMINATING && !at_once)) {
        return;
    }
    if (at_once) {
        c->stage = KILLED;
        family_signal(c->member.pid, SIGKILL);
        kill(-c->member.pid, SIGKILL);
        next_step(c, c->grace_ms > KILL_WAIT_MS ? c->grace_ms : KILL_WAIT_MS);
        return;
    }
    c->stage = TERMINATING;
    kill(-c->member.pid, SIGTERM);
    next_step(c, c->grace_ms);
}

/* --- the end --- */

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
    uv_unref(
        (uv_handle_t *)(is_open(&c->exit_poll) ? (void *)&c->exit_poll : (void *)&c->exit_timer));
    report(c);
}

static bool output_open(const struct exec_child *c) {
    return is_open(&c->pipes[OUT]) || is_open(&c->pipes[ERR]) || is_open(&c->pipes[CHANNEL]);
}

static void settle(struct exec_child *c) {
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
    settle(c);
}

static void on_pidfd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    on_exit_seen(poll->data);
}

static void on_exit_timer(uv_timer_t *timer) {
    on_exit_seen(timer->data);
}

/* --- pipes --- */

static void give_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct exec_child *c = handle->data;
    (void)suggested;
    buf->base = room_scratch(c->room);
    buf->len = buf->base ? ROOM_SCRATCH : 0;
}

static bool hand_on_frame(void *ctx, const char *bytes, size_t len) {
    struct exec_child *c = ctx;
    if (c->events.frame && !c->reported) {
        c->events.frame(c->ctx, bytes, len);
    }
    return is_open(&c->pipes[CHANNEL]);
}

static void take_frames(struct exec_child *c, const char *bytes, size_t len) {
    enum frame_status status = frame_feed(&c->frames, bytes, len, hand_on_frame, c);
    if (status != FRAME_OK && status != FRAME_STOPPED) {
        c->result.bad_frame = true;
        close_one(&c->pipes[CHANNEL]);
        exec_kill(c, true);
    }
}

static void take_output(struct exec_child *c, struct buffer *b, const char *bytes, size_t len) {
    size_t room = b->max - b->len;
    size_t n = len < room ? len : room;
    if (!buffer_append(b, bytes, n) || n < len) {
        c->result.truncated = true;
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct exec_child *c = stream->data;
    if (n < 0) {
        close_one(stream);
        settle(c);
    } else if (stream == (uv_stream_t *)&c->pipes[CHANNEL]) {
        take_frames(c, buf->base, (size_t)n);
    } else {
        take_output(c, stream == (uv_stream_t *)&c->pipes[OUT] ? &c->out : &c->err, buf->base,
                    (size_t)n);
    }
}

static void input_written(uv_write_t *req, int status) {
    (void)status; /* who doesn't read its stdin loses nothing */
    close_one(req->handle);
    free(req);
}

static void frame_written(uv_write_t *req, int status) {
    (void)status; /* a dead channel shows as the end of reading */
    free(req);
}

/* The request and a copy of the bytes in one piece. */
static int write_copy(struct exec_child *c, int which, const void *head, size_t head_len,
                      const char *bytes, size_t len, uv_write_cb done) {
    uv_write_t *req = malloc(sizeof *req + head_len + len);
    if (!req) {
        return ENOMEM;
    }
    char *copy = (char *)(req + 1);
    if (head_len) {
        memcpy(copy, head, head_len);
    }
    if (len) {
        memcpy(copy + head_len, bytes, len);
    }
    uv_buf_t buf = uv_buf_init(copy, (unsigned)(head_len + len));
    int rc = uv_write(req, (uv_stream_t *)&c->pipes[which], &buf, 1, done);
    if (rc < 0) {
        free(req);
    }
    return -rc;
}

int exec_send(struct exec_child *c, const char *bytes, size_t len) {
    unsigned char head[FRAME_HEAD];
    if (!is_open(&c->pipes[CHANNEL])) {
        return EPIPE;
    }
    if (len > FRAME_MAX) {
        return EMSGSIZE;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipes[CHANNEL]) + len > QUEUE_MAX) {
        return ENOBUFS;
    }
    frame_write_head(head, (uint32_t)len);
    return write_copy(c, CHANNEL, head, sizeof head, bytes, len, frame_written);
}

static void shut(uv_shutdown_t *req, int status) {
    (void)status;
    free(req);
}

void exec_end_send(struct exec_child *c) {
    uv_shutdown_t *req = is_open(&c->pipes[CHANNEL]) ? malloc(sizeof *req) : NULL;
    if (req && uv_shutdown(req, (uv_stream_t *)&c->pipes[CHANNEL], shut) < 0) {
        free(req);
    }
}

pid_t exec_pid(const struct exec_child *c) {
    return c->member.pid;
}

/* --- the beginning --- */

static int watch_exit(struct exec_child *c) {
    if (c->pidfd < 0) {
        uv_timer_init(c->room->loop, &c->exit_timer);
        adopt(c, &c->exit_timer);
        return uv_timer_start(&c->exit_timer, on_exit_timer, POLL_EXIT_MS, POLL_EXIT_MS);
    }
    int rc = uv_poll_init(c->room->loop, &c->exit_poll, c->pidfd);
    if (rc < 0) {
        return rc;
    }
    adopt(c, &c->exit_poll);
    return uv_poll_start(&c->exit_poll, UV_READABLE, on_pidfd);
}

static int open_pipe(struct exec_child *c, int which, int *fd) {
    if (*fd < 0) {
        return 0;
    }
    uv_pipe_init(c->room->loop, &c->pipes[which], 0);
    adopt(c, &c->pipes[which]);
    int rc = uv_pipe_open(&c->pipes[which], *fd);
    if (rc < 0) {
        return rc;
    }
    *fd = -1;
    return which == IN ? 0 : uv_read_start((uv_stream_t *)&c->pipes[which], give_scratch, on_read);
}

static int attach(struct exec_child *c, struct ends *e, const struct exec_options *o) {
    int rc = uv_timer_init(c->room->loop, &c->timer);
    adopt(c, &c->timer);
    for (int i = 0; rc == 0 && i < SPAWN_FDS; i++) {
        rc = open_pipe(c, i, &e->ours[i]);
    }
    if (rc == 0) {
        rc = watch_exit(c);
    }
    if (rc == 0 && o->input) {
        rc = -write_copy(c, IN, NULL, 0, o->input, o->input_len, input_written);
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
        kill(-c->member.pid, SIGKILL);
        c->events = (struct exec_events){0};
        c->reported = true;
        room_leave(room, &c->member);
        dispose(c);
    }
    room_close(room);
}
