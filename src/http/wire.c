/* Between a connection and its socket: bytes that wait, and the filter where there is one. */
#include <stdlib.h>
#include <string.h>

#include "http/connection.h"

enum { SEALED_MAX = 64 * 1024 * 1024 }; /* the limits of answers and streams are below it */

struct piece {
    uv_write_t write;
    struct http_connection *connection;
    char bytes[];
};

bool http_wire_empty(const struct http_connection *c) {
    return uv_stream_get_write_queue_size(&c->peer.stream) == 0;
}

static void on_written(uv_write_t *write, int status) {
    struct piece *piece = write->data;
    struct http_connection *c = piece->connection;
    free(piece);
    if (c->state == HTTP_CLOSED) {
        return;
    }
    if (status < 0) {
        http_connection_close(c);
        return;
    }
    http_connection_count(c);
    if (c->state == HTTP_WRITE && http_wire_empty(c)) {
        http_connection_answered(c);
        http_connection_resume(c);
    }
}

/* false: the connection is closed. */
static bool queue(struct http_connection *c, const char *bytes, size_t n) {
    struct piece *piece = malloc(sizeof *piece + n);
    if (!piece) {
        http_connection_close(c);
        return false;
    }
    memcpy(piece->bytes, bytes, n);
    piece->connection = c;
    piece->write.data = piece;
    uv_buf_t buf = {.base = piece->bytes, .len = n};
    if (uv_write(&piece->write, &c->peer.stream, &buf, 1, on_written) != 0) {
        free(piece);
        http_connection_close(c);
        return false;
    }
    return true;
}

bool http_wire_send(struct http_connection *c, const char *bytes, size_t n) {
    size_t done = 0;
    if (n == 0) {
        return true;
    }
    if (http_wire_empty(c)) {
        uv_buf_t buf = {.base = (char *)bytes, .len = n};
        int taken = uv_try_write(&c->peer.stream, &buf, 1);
        if (taken < 0 && taken != UV_EAGAIN) {
            http_connection_close(c);
            return false;
        }
        done = taken < 0 ? 0 : (size_t)taken;
    }
    return done == n || queue(c, bytes + done, n - done);
}

bool http_wire_seal(struct http_connection *c, const char *bytes, size_t n) {
    if (!c->filter) {
        return http_wire_send(c, bytes, n);
    }
    struct buffer wire;
    buffer_init(&wire, SEALED_MAX);
    bool fine = c->filter->class->send(c->filter, bytes, n, &wire) != FILTER_FAILED;
    if (fine) {
        fine = http_wire_send(c, wire.data, wire.len);
    } else {
        http_connection_close(c);
    }
    buffer_free(&wire);
    return fine;
}

void http_wire_finish(struct http_connection *c) {
    struct buffer wire;
    if (!c->filter) {
        return;
    }
    buffer_init(&wire, HTTP_READ_MAX);
    c->filter->class->finish(c->filter, &wire);
    c->filter->class->free(c->filter);
    c->filter = NULL;
    http_wire_send(c, wire.data, wire.len);
    buffer_free(&wire);
}

bool http_wire_open(struct http_connection *c, const char *bytes, size_t n, struct buffer *plain,
                    bool *ended) {
    struct buffer wire;
    buffer_init(&wire, HTTP_READ_MAX);
    buffer_init(plain, 2 * HTTP_READ_MAX);
    enum filter_state state = c->filter->class->receive(c->filter, bytes, n, plain, &wire);
    *ended = state == FILTER_ENDED;
    bool alive = http_wire_send(c, wire.data, wire.len); /* an alert, too */
    buffer_free(&wire);
    if (state == FILTER_FAILED && alive) {
        c->server->counters.refused++;
        http_connection_close(c);
        alive = false;
    }
    return alive;
}
