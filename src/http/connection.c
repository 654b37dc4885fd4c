#include "http/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_A_TURN = 32 };

static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

void http_connection_count(struct http_connection *c) {
    size_t now = c->request.head.cap + c->request.body.cap + c->rest.cap + c->in_hand;
    now += c->filter ? HTTP_FILTER_MEMORY : 0;
    if (c->state != HTTP_CLOSED) {
        now += uv_stream_get_write_queue_size(&c->peer.stream);
    }
    c->server->counters.memory += now - c->held;
    c->held = now;
}

void http_connection_enter(struct http_connection *c, enum http_state state) {
    const struct http_limits *limits = &c->server->limits;
    const unsigned patience[] = {
        [HTTP_IDLE] = limits->idle_ms,   [HTTP_HEAD] = limits->head_ms,
        [HTTP_BODY] = limits->body_ms,   [HTTP_ANSWER] = limits->answer_ms,
        [HTTP_WRITE] = limits->write_ms, [HTTP_LINGER] = limits->linger_ms,
        [HTTP_STREAM] = UINT_MAX,        [HTTP_CLOSED] = limits->linger_ms,
    };
    c->state = state;
    c->since = uv_now(c->peer.handle.loop);
    c->deadline = c->since + patience[state];
}

static struct http_reply *detach(struct http_connection *c) {
    struct http_reply *reply = c->reply;
    if (reply) {
        reply->connection = NULL;
        c->reply = NULL;
    }
    return reply;
}

static void free_connection(uv_handle_t *handle) {
    free(handle->data);
}

void http_connection_close(struct http_connection *c) {
    if (c->state == HTTP_CLOSED) {
        return;
    }
    struct http_server *s = c->server;
    http_connection_enter(c, HTTP_CLOSED);
    struct http_reply *reply = detach(c);
    http_request_free(&c->request);
    buffer_free(&c->rest);
    if (c->filter) {
        c->filter->class->free(c->filter);
        c->filter = NULL;
    }
    c->in_hand = 0;
    http_connection_count(c);
    if (c->next) {
        c->next->previous = c->previous;
    }
    *(c->previous ? &c->previous->next : &s->first) = c->next;
    s->counters.connections--;
    c->server = NULL; /* it may be gone before libuv lets go of this one */
    uv_close(&c->peer.handle, free_connection);
    if (reply && reply->on_gone) {
        reply->on_gone(reply);
    }
}

static void on_shutdown(uv_shutdown_t *shutdown, int status) {
    struct http_connection *c = shutdown->data;
    if (status < 0 && c->state != HTTP_CLOSED) {
        http_connection_close(c);
    }
}

/* After the last answer: our side is closed at once, the client's bytes are read and thrown away
 * for a moment. Closing with bytes unread would reset the connection and take the answer with it.
 */
static void linger(struct http_connection *c) {
    http_connection_enter(c, HTTP_LINGER);
    http_request_free(&c->request);
    buffer_free(&c->rest);
    http_wire_finish(c);
    if (c->state == HTTP_CLOSED) {
        return;
    }
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, &c->peer.stream, on_shutdown) != 0) {
        http_connection_close(c);
    }
}

void http_connection_answered(struct http_connection *c) {
    if (!c->keep_alive) {
        linger(c);
        return;
    }
    http_request_next(&c->request);
    http_connection_enter(c, HTTP_IDLE);
}

/* The server's own word: said, and the connection ends. */
static void refuse(struct http_connection *c, int status, const char *why) {
    static const char text[] = "Content-Type: text/plain; charset=utf-8\r\n";
    static const char later[] = "Content-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n";
    char body[128];
    int n = snprintf(body, sizeof body, "%s\n", why);
    c->server->counters.refused++;
    c->keep_alive = false;
    detach(c);
    bool busy = status == 503;
    http_connection_answer(c, status, busy ? later : text,
                           busy ? sizeof later - 1 : sizeof text - 1, body, (size_t)n, 0);
}

void http_connection_expire(struct http_connection *c) {
    switch (c->state) {
    case HTTP_HEAD:
    case HTTP_BODY:
        refuse(c, 408, "the request took too long to arrive");
        break;
    case HTTP_ANSWER:
        refuse(c, 504, "no answer in time");
        http_connection_resume(c);
        break;
    case HTTP_WRITE:
        c->server->counters.dropped++;
        http_connection_close(c);
        break;
    default:
        http_connection_close(c);
    }
}

static void hand_over(struct http_connection *c, const char *raw, size_t raw_len) {
    struct http_server *s = c->server;
    const struct http_request *r = &c->request;
    s->counters.requests++;
    c->served++;
    c->head_only = r->method.len == 4 && memcmp(r->head.data, "HEAD", 4) == 0;
    c->keep_alive = r->keep_alive && c->served < s->limits.requests;
    http_connection_enter(c, HTTP_ANSWER);
    c->in_hand = r->body.len;
    c->raw = raw;
    c->raw_len = raw_len;
    s->handler(s->user, c, r);
    if (c->state == HTTP_CLOSED) {
        return;
    }
    c->raw = NULL;
    buffer_free(&c->request.body);
    if (c->state == HTTP_ANSWER && !c->reply) {
        refuse(c, 500, "no answer");
    }
}

static void body_follows(struct http_connection *c, bool all_read) {
    struct http_server *s = c->server;
    http_connection_enter(c, HTTP_BODY);
    if (s->counters.memory + c->request.length > s->limits.memory) {
        refuse(c, 503, "too many bodies at once");
    } else if (c->request.expects_continue && all_read) {
        http_wire_seal(c, go_on, sizeof go_on - 1);
    }
}

static bool takes_input(const struct http_connection *c) {
    return c->state == HTTP_IDLE || c->state == HTTP_HEAD || c->state == HTTP_BODY;
}

/* Behind its last request a client's bytes are read only to see when it closes. */
static bool discards_input(const struct http_connection *c) {
    return c->state == HTTP_LINGER || c->state == HTTP_STREAM;
}

/* Feeds the parser as far as it goes now; returns how many bytes were used up. */
static size_t pump(struct http_connection *c, const char *bytes, size_t n) {
    size_t at = 0;
    unsigned requests = 0;
    c->pumping = true;
    while (at < n && takes_input(c)) {
        if (requests == REQUESTS_A_TURN) {
            http_server_turn_again(c->server);
            c->more = c->server->more = true;
            break;
        }
        size_t used = http_connection_answer_prepared(c, bytes + at, n - at);
        if (used) {
            at += used;
            requests++;
            continue;
        }
        bool whole = c->state == HTTP_IDLE;
        if (whole) {
            http_connection_enter(c, HTTP_HEAD);
        }
        enum http_event event = http_request_feed(&c->request, bytes + at, n - at, &used);
        at += used;
        http_connection_count(c);
        if (event == HTTP_EVENT_FAILED) {
            refuse(c, c->request.status, c->request.why);
        } else if (event == HTTP_EVENT_HEAD) {
            body_follows(c, at == n);
        } else if (event == HTTP_EVENT_DONE) {
            requests++;
            whole = whole && c->request.phase == HTTP_PHASE_DONE && !c->request.body.len;
            hand_over(c, whole ? bytes + at - used : NULL, used);
        } else if (c->server->counters.memory > c->server->limits.memory) {
            refuse(c, 503, "too many bodies at once");
        }
    }
    c->pumping = false;
    return at;
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    struct http_connection *c = handle->data;
    *buf = (uv_buf_t){.base = c->server->read_buffer, .len = HTTP_READ_MAX};
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Reads only what can be used: everything else waits in the socket, and in the client. */
static void choose_reading(struct http_connection *c) {
    bool wanted = discards_input(c) || (takes_input(c) && !c->rest.len);
    if (c->state == HTTP_CLOSED || wanted == c->reading) {
        return;
    }
    c->reading = wanted;
    if (!wanted) {
        uv_read_stop(&c->peer.stream);
    } else if (uv_read_start(&c->peer.stream, allocate, on_read) != 0) {
        http_connection_close(c);
    }
}

static bool wants_rest(const struct http_connection *c) {
    return c->state != HTTP_CLOSED && !discards_input(c);
}

static void take(struct http_connection *c, const char *bytes, size_t n) {
    size_t used = pump(c, bytes, n);
    if (wants_rest(c) && !buffer_append(&c->rest, bytes + used, n - used)) {
        http_connection_close(c);
    }
    choose_reading(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct http_connection *c = stream->data;
    if (n < 0) {
        http_connection_close(c);
        return;
    }
    if (n == 0 || discards_input(c)) {
        return;
    }
    if (!c->filter) {
        take(c, buf->base, (size_t)n);
        return;
    }
    struct buffer plain;
    bool ended = false;
    if (http_wire_open(c, buf->base, (size_t)n, &plain, &ended)) {
        take(c, plain.data, plain.len);
        if (ended) {
            http_connection_close(c);
        }
    }
    buffer_free(&plain);
}

void http_connection_resume(struct http_connection *c) {
    if (c->pumping || c->state == HTTP_CLOSED) {
        return;
    }
    size_t used = pump(c, c->rest.data, c->rest.len);
    if (wants_rest(c)) {
        buffer_consume(&c->rest, used);
        if (!c->rest.len) {
            buffer_free(&c->rest);
        }
        http_connection_count(c);
    }
    choose_reading(c);
}

static int accept_peer(struct http_connection *c) {
    struct http_server *s = c->server;
    uv_loop_t *loop = s->listener.handle.loop;
    int rc = s->path ? uv_pipe_init(loop, &c->peer.pipe, 0) : uv_tcp_init(loop, &c->peer.tcp);
    if (rc != 0) {
        return rc;
    }
    c->peer.handle.data = c;
    rc = uv_accept(&s->listener.stream, &c->peer.stream);
    if (rc != 0) {
        uv_close(&c->peer.handle, free_connection);
    } else if (!s->path) {
        uv_tcp_nodelay(&c->peer.tcp, 1);
    }
    return rc;
}

void http_connection_open(struct http_server *s) {
    struct http_connection *c = calloc(1, sizeof *c);
    if (!c) {
        return;
    }
    c->server = s;
    if (accept_peer(c) != 0) {
        return;
    }
    http_request_open(&c->request, s->limits.body);
    buffer_init(&c->rest, 2 * HTTP_READ_MAX);
    c->filter = s->maker ? s->maker->make(s->maker, NULL) : NULL;
    c->next = s->first;
    if (c->next) {
        c->next->previous = c;
    }
    s->first = c;
    s->counters.connections++;
    s->counters.accepted++;
    http_connection_enter(c, HTTP_IDLE);
    c->deadline = c->since + s->limits.head_ms; /* a first request comes soon */
    if (s->maker && !c->filter) {
        http_connection_close(c); /* no memory: never in the clear */
        return;
    }
    http_connection_count(c);
    if (s->counters.connections > s->limits.connections) {
        refuse(c, 503, "too many connections");
    }
    choose_reading(c);
}

void http_reply_attach(struct http_reply *r, struct http_connection *c) {
    c->reply = r;
    r->connection = c;
}

bool http_reply_send(struct http_reply *r, int status, const char *headers, size_t headers_len,
                     const char *body, size_t body_len) {
    struct http_connection *c = r->connection;
    if (!c) {
        return false;
    }
    detach(c);
    http_connection_answer(c, status, headers, headers_len, body, body_len, r->keep_ms);
    bool alive = c->state != HTTP_CLOSED;
    http_connection_resume(c);
    return alive;
}

void http_reply_keep(struct http_reply *r, unsigned ms) {
    r->keep_ms = ms;
}

void http_reply_drop(struct http_reply *r) {
    struct http_connection *c = r->connection;
    if (c && c->state == HTTP_STREAM) {
        http_connection_close(c); /* cut off: what is out isn't a whole answer */
    } else if (c) {
        refuse(c, 500, "no answer");
        http_connection_resume(c);
    }
}
