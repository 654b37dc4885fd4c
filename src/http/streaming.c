/* Answers that go out piece by piece. */
#include <stdio.h>

#include "http/connection.h"

enum { KEEPALIVE_S = 60, FRAME_MAX = 24 };

/* What waits for the client is bounded. */
static bool put(struct http_connection *c, const char *bytes, size_t n) {
    struct http_server *s = c->server;
    if (!http_wire_seal(c, bytes, n)) {
        return false;
    }
    http_connection_count(c);
    if (uv_stream_get_write_queue_size(&c->peer.stream) > HTTP_STREAM_MAX ||
        s->counters.memory > s->limits.memory) {
        s->counters.dropped++;
        http_connection_close(c);
        return false;
    }
    return true;
}

static bool put_chunk(struct http_connection *c, const char *bytes, size_t n) {
    char size[FRAME_MAX];
    int digits = snprintf(size, sizeof size, "%zx\r\n", n);
    struct buffer frame;
    buffer_init(&frame, n + 2 * FRAME_MAX);
    bool ok = buffer_append(&frame, size, (size_t)digits) && buffer_append(&frame, bytes, n) &&
              buffer_append(&frame, "\r\n", 2);
    if (ok) {
        ok = put(c, frame.data, frame.len);
    } else {
        http_connection_close(c);
    }
    buffer_free(&frame);
    return ok;
}

bool http_reply_stream(struct http_reply *r, int status, const char *headers, size_t headers_len) {
    struct http_connection *c = r->connection;
    if (!c || c->state != HTTP_ANSWER) {
        return false;
    }
    struct http_server *s = c->server;
    c->keep_alive = false;
    c->chunked = c->request.minor > 0;
    c->in_hand = 0;
    http_connection_enter(c, HTTP_STREAM);
    buffer_free(&c->rest);
    if (!s->path) { /* a host that vanished says no farewell */
        uv_tcp_keepalive(&c->peer.tcp, 1, KEEPALIVE_S);
    }
    size_t length = c->chunked ? HTTP_LENGTH_CHUNKED : HTTP_LENGTH_UNKNOWN;
    if (!http_answer_head(s, status, false, c->request.minor, headers, headers_len, length)) {
        http_connection_close(c);
        return false;
    }
    if (!put(c, s->headers.data, s->headers.len)) {
        return false;
    }
    if (c->head_only) {
        http_reply_finish(r);
        return false;
    }
    http_connection_resume(c); /* reads on, to see the client go */
    return r->connection != NULL;
}

bool http_reply_write(struct http_reply *r, const char *bytes, size_t n) {
    struct http_connection *c = r->connection;
    if (!c || c->state != HTTP_STREAM) {
        return false;
    }
    if (!n) { /* an empty chunk would be the end */
        return true;
    }
    return c->chunked ? put_chunk(c, bytes, n) : put(c, bytes, n);
}

bool http_reply_finish(struct http_reply *r) {
    struct http_connection *c = r->connection;
    if (!c || c->state != HTTP_STREAM) {
        return false;
    }
    r->on_gone = NULL;
    if (c->chunked && !c->head_only && !put(c, "0\r\n\r\n", 5)) {
        return false;
    }
    c->reply->connection = NULL;
    c->reply = NULL;
    if (!http_wire_empty(c)) {
        http_connection_enter(c, HTTP_WRITE);
        return true;
    }
    http_connection_answered(c);
    http_connection_resume(c);
    return true;
}

int http_reply_fd(const struct http_reply *r) {
    uv_os_fd_t fd = -1;
    if (r->connection && uv_fileno(&r->connection->peer.handle, &fd) != 0) {
        return -1;
    }
    return fd;
}
