/* What a child is fed: its input, and the frames of its channel, which come back, too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/child_state.h"

enum { QUEUE_MAX = 2 * FRAME_MAX };

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
    return child_is_open(&c->channel);
}

static void take_frames(struct exec_child *c, const char *bytes, size_t len) {
    enum frame_status status = frame_feed(&c->frames, bytes, len, hand_on_frame, c);
    if (status != FRAME_OK && status != FRAME_STOPPED) {
        c->result.bad_frame = true;
        child_close_one(&c->channel);
        exec_kill(c, true);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct exec_child *c = stream->data;
    if (n < 0) {
        child_close_one(stream);
        child_settle(c);
    } else {
        take_frames(c, buf->base, (size_t)n);
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
static int write_copy(uv_pipe_t *pipe, const void *head, size_t head_len, const char *bytes,
                      size_t len, uv_write_cb done) {
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
    int rc = uv_write(req, (uv_stream_t *)pipe, &buf, 1, done);
    if (rc < 0) {
        free(req);
    }
    return -rc;
}

int child_write_input(struct exec_child *c, const char *bytes, size_t len) {
    return write_copy(&c->input, NULL, 0, bytes, len, input_written);
}

int exec_send(struct exec_child *c, const char *bytes, size_t len) {
    unsigned char head[FRAME_HEAD];
    if (!child_is_open(&c->channel)) {
        return EPIPE;
    }
    if (len > FRAME_MAX) {
        return EMSGSIZE;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->channel) + len > QUEUE_MAX) {
        return ENOBUFS;
    }
    frame_write_head(head, (uint32_t)len);
    return write_copy(&c->channel, head, sizeof head, bytes, len, frame_written);
}

static void shut(uv_shutdown_t *req, int status) {
    (void)status;
    free(req);
}

void exec_end_send(struct exec_child *c) {
    uv_shutdown_t *req = child_is_open(&c->channel) ? malloc(sizeof *req) : NULL;
    if (req && uv_shutdown(req, (uv_stream_t *)&c->channel, shut) < 0) {
        free(req);
    }
}

static int open_pipe(struct exec_child *c, uv_pipe_t *pipe, int *fd) {
    uv_pipe_init(c->room->loop, pipe, 0);
    child_adopt(c, pipe);
    int rc = uv_pipe_open(pipe, *fd);
    if (rc == 0) {
        *fd = -1;
    }
    return rc;
}

int child_open_pipes(struct exec_child *c, int *input, int *channel) {
    int rc = *input >= 0 ? open_pipe(c, &c->input, input) : 0;
    if (rc == 0 && *channel >= 0) {
        rc = open_pipe(c, &c->channel, channel);
        if (rc == 0) {
            rc = uv_read_start((uv_stream_t *)&c->channel, give_scratch, on_read);
        }
    }
    return rc;
}
