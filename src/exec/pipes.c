/* What goes through a child's pipes: its output, its input, and the frames of its channel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/child_state.h"

/* What is over the cap is read at 50 MB/s at most, else a flood would cost us as much as it costs
 * the child. */
enum { QUEUE_MAX = 2 * FRAME_MAX, GULP = 1024 * 1024, PAUSE_MS = 20 };

static void give_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

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
    return child_is_open(&c->pipes[CHANNEL]);
}

static void take_frames(struct exec_child *c, const char *bytes, size_t len) {
    enum frame_status status = frame_feed(&c->frames, bytes, len, hand_on_frame, c);
    if (status != FRAME_OK && status != FRAME_STOPPED) {
        c->result.bad_frame = true;
        child_close_one(&c->pipes[CHANNEL]);
        exec_kill(c, true);
    }
}

static void read_on(uv_timer_t *pause) {
    struct exec_child *c = pause->data;
    for (int i = OUT; i <= ERR; i++) {
        if (child_is_open(&c->pipes[i])) {
            uv_read_start((uv_stream_t *)&c->pipes[i], give_scratch,
                          on_read); /* or reads already */
        }
    }
}

static void throw_away(struct exec_child *c, uv_stream_t *stream, size_t len) {
    c->result.truncated = true;
    c->gulp += len;
    if (c->gulp >= GULP) {
        uv_read_stop(stream);
        if (!uv_is_active((uv_handle_t *)&c->pause)) {
            uv_timer_start(&c->pause, read_on, PAUSE_MS, 0);
            c->gulp = 0;
        }
    }
}

static void take_output(struct exec_child *c, uv_stream_t *stream, const char *bytes, size_t len) {
    struct buffer *b = stream == (uv_stream_t *)&c->pipes[OUT] ? &c->out : &c->err;
    size_t room = b->max - b->len;
    size_t n = len < room ? len : room;
    if (!buffer_append(b, bytes, n)) {
        n = 0;
    }
    if (n < len) {
        throw_away(c, stream, len - n);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct exec_child *c = stream->data;
    if (n < 0) {
        child_close_one(stream);
        child_settle(c);
    } else if (stream == (uv_stream_t *)&c->pipes[CHANNEL]) {
        take_frames(c, buf->base, (size_t)n);
    } else {
        take_output(c, stream, buf->base, (size_t)n);
    }
}

static void input_written(uv_write_t *req, int status) {
    (void)status; /* who doesn't read its stdin loses nothing */
    child_close_one(req->handle);
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

int child_write_input(struct exec_child *c, const char *bytes, size_t len) {
    return write_copy(c, IN, NULL, 0, bytes, len, input_written);
}

int exec_send(struct exec_child *c, const char *bytes, size_t len) {
    unsigned char head[FRAME_HEAD];
    if (!child_is_open(&c->pipes[CHANNEL])) {
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
    uv_shutdown_t *req = child_is_open(&c->pipes[CHANNEL]) ? malloc(sizeof *req) : NULL;
    if (req && uv_shutdown(req, (uv_stream_t *)&c->pipes[CHANNEL], shut) < 0) {
        free(req);
    }
}

int child_open_pipe(struct exec_child *c, int which, int *fd) {
    if (*fd < 0) {
        return 0;
    }
    uv_pipe_init(c->room->loop, &c->pipes[which], 0);
    child_adopt(c, &c->pipes[which]);
    int rc = uv_pipe_open(&c->pipes[which], *fd);
    if (rc < 0) {
        return rc;
    }
    *fd = -1;
    return which == IN ? 0 : uv_read_start((uv_stream_t *)&c->pipes[which], give_scratch, on_read);
}
