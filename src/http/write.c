/* Answers that go out in one piece. */
#include <stdlib.h>
#include <string.h>

#include "http/connection.h"

static void on_written(uv_write_t *write, int status) {
    struct http_connection *c = write->data;
    free(c->writing);
    c->writing = NULL;
    if (c->state == HTTP_CLOSED) {
        return;
    }
    if (status < 0) {
        http_connection_close(c);
    } else if (c->state == HTTP_WRITE) {
        http_connection_count(c);
        http_connection_answered(c);
        http_connection_resume(c);
    }
}

/* Writes both pieces, what the socket doesn't take now in the background. Returns whether all of it
 * is out already; a connection that failed is closed. */
static bool write_out(struct http_connection *c, const char *head, size_t head_len,
                      const char *body, size_t body_len) {
    if (c->filter) {
        return http_wire_seal(c, head, head_len) && http_wire_seal(c, body, body_len) &&
               http_wire_empty(c);
    }
    uv_buf_t pieces[] = {{.base = (char *)head, .len = head_len},
                         {.base = (char *)body, .len = body_len}};
    int taken = uv_try_write(&c->peer.stream, pieces, body_len ? 2 : 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        http_connection_close(c);
        return false;
    }
    size_t done = taken < 0 ? 0 : (size_t)taken;
    if (done == head_len + body_len) {
        return true;
    }
    size_t head_left = done < head_len ? head_len - done : 0;
    size_t body_done = done > head_len ? done - head_len : 0;
    size_t left = head_left + (body_len - body_done);
    c->writing = malloc(left);
    c->write.data = c;
    if (c->writing) {
        memcpy(c->writing, head + (head_len - head_left), head_left);
        memcpy(c->writing + head_left, body + body_done, body_len - body_done);
    }
    uv_buf_t rest = {.base = c->writing, .len = left};
    if (!c->writing || uv_write(&c->write, &c->peer.stream, &rest, 1, on_written) != 0) {
        free(c->writing);
        c->writing = NULL;
        http_connection_close(c);
    }
    return false;
}

void http_connection_answer(struct http_connection *c, int status, const char *headers,
                            size_t headers_len, const char *body, size_t body_len,
                            unsigned keep_ms) {
    struct http_server *s = c->server;
    c->in_hand = 0;
    if (!http_answer_head(s, status, c->keep_alive, c->request.minor, headers, headers_len,
                          body_len)) {
        http_connection_close(c);
        return;
    }
    bool bodyless = c->head_only || status == 204 || status == 304;
    if (keep_ms && c->raw && !bodyless && c->keep_alive) {
        uint64_t now = c->since; /* when it was asked */
        http_prepared_keep(&s->prepared, c->raw, c->raw_len, &s->headers, body, body_len,
                           now + keep_ms, http_answer_second(s));
    }
    http_connection_enter(c, HTTP_WRITE);
    if (write_out(c, s->headers.data, s->headers.len, body, bodyless ? 0 : body_len)) {
        http_connection_answered(c);
    }
    if (c->state != HTTP_CLOSED) {
        http_connection_count(c);
    }
}

size_t http_connection_answer_prepared(struct http_connection *c, const char *bytes, size_t n) {
    struct http_server *s = c->server;
    size_t used = 0;
    if (c->state != HTTP_IDLE || !s->prepared.count || http_request_begun(&c->request) ||
        c->served + 1 >= s->limits.requests) {
        return 0;
    }
    const struct buffer *answer = http_prepared_find(
        &s->prepared, bytes, n, uv_now(c->peer.handle.loop), http_answer_second(s), &used);
    if (!answer) {
        return 0;
    }
    s->counters.requests++;
    http_server_stay_awake(s);
    c->served++;
    c->keep_alive = true;
    http_connection_enter(c, HTTP_WRITE);
    if (write_out(c, answer->data, answer->len, "", 0)) {
        http_connection_enter(c, HTTP_IDLE);
    }
    return used;
}
