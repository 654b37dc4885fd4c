/* What a child prints. Most print little and end: so at first nobody reads, the pipe holds it, and
 * the loop is woken once, by the end of stdout. Who takes longer, or prints more than a pipe holds,
 * is read as it comes. */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exec/child_state.h"

enum {
    QUIET_MS = 100, /* so long nobody reads */
    READS = 4,      /* of ROOM_SCRATCH bytes in one turn of the loop */
    /* What is over the cap is read at 50 MB/s at most, else a flood would cost us as much as it
     * costs the child. */
    GULP = 1024 * 1024,
    PAUSE_MS = 20,
};

static void close_output(struct output *o) {
    child_close_one(&o->poll);
    if (o->fd >= 0) {
        close(o->fd);
        o->fd = -1;
    }
}

void output_close_all(struct exec_child *c) {
    close_output(&c->outputs[0]);
    close_output(&c->outputs[1]);
}

bool output_open(const struct exec_child *c) {
    return c->outputs[0].fd >= 0 || c->outputs[1].fd >= 0;
}

static void read_again(uv_timer_t *timer) {
    struct exec_child *c = timer->data;
    if (c->start) {
        starter_collect(c->room->starter, start_job(c->start));
    }
    if (child_is_open(timer)) {
        output_read(c);
        child_settle(c);
    }
}

/* true: that is enough for now. */
static bool throw_away(struct exec_child *c, size_t len) {
    c->result.truncated = true;
    c->gulp += len;
    if (c->gulp < GULP) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (child_is_open(&c->outputs[i].poll)) {
            uv_poll_stop(&c->outputs[i].poll);
        }
    }
    uv_timer_start(&c->look, read_again, PAUSE_MS, 0);
    c->gulp = 0;
    return true;
}

static bool take(struct exec_child *c, struct buffer *b, const char *bytes, size_t len) {
    size_t room = b->max - b->len;
    size_t n = len < room ? len : room;
    if (!buffer_append(b, bytes, n)) {
        n = 0;
    }
    return n < len && throw_away(c, len - n);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int poll_for(struct exec_child *c, struct output *o, int events) {
    int rc = 0;
    if (!o->poll.data) {
        rc = uv_poll_init(c->room->loop, &o->poll, o->fd);
        if (rc == 0) {
            child_adopt(c, &o->poll);
        }
    }
    return rc < 0 ? rc : uv_poll_start(&o->poll, events, on_poll);
}

/* What there is now; then it waits for more. */
static void read_one(struct exec_child *c, struct output *o) {
    char *scratch = room_scratch(c->room);
    for (int i = 0; i < READS && o->fd >= 0 && scratch; i++) {
        ssize_t n = read(o->fd, scratch, ROOM_SCRATCH);
        if (n > 0) {
            if (take(c, &o->bytes, scratch, (size_t)n)) {
                return;
            }
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n == 0 || errno != EINTR) {
            close_output(o);
        }
    }
    if (o->fd >= 0 && poll_for(c, o, UV_READABLE) < 0) {
        close_output(o);
    }
}

void output_read(struct exec_child *c) {
    uv_timer_stop(&c->look);
    c->reading = true;
    read_one(c, &c->outputs[0]);
    if (!uv_is_active((uv_handle_t *)&c->look)) { /* else both have to wait */
        read_one(c, &c->outputs[1]);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct exec_child *c = poll->data;
    (void)status;
    (void)events;
    if (c->reading) {
        read_one(c, poll == &c->outputs[0].poll ? &c->outputs[0] : &c->outputs[1]);
        child_settle(c);
        return;
    }
    read_again(&c->look);
}

int output_attach(struct exec_child *c, int *out, int *err) {
    c->outputs[0].fd = *out;
    c->outputs[1].fd = *err;
    *out = *err = -1;
    int on = 1, rc = ioctl(c->outputs[1].fd, FIONBIO, &on) < 0 ? -errno : 0;
    if (rc == 0) {
        rc = poll_for(c, &c->outputs[0], UV_DISCONNECT);
    }
    return rc < 0 ? rc : uv_timer_start(&c->look, read_again, QUIET_MS, 0);
}
