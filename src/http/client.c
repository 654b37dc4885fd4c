#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/response.h"
#include "net/stream.h"

enum state { CONNECTING, IDLE, WAITING, OVER };

struct http_client {
    struct stream stream;
    struct http_response response;
    const struct http_client_events *events;
    void *owner;
    enum state state;
    int ticket;
    uint64_t reply_ms;
    bool failed;
    char code[32];
    char message[192];
};

static void end(struct http_client *c, const char *code, const char *message, bool failed) {
    if (c->state == OVER) {
        return;
    }
    bool waiting = c->state == WAITING;
    c->state = OVER;
    c->failed = failed;
    snprintf(c->code, sizeof c->code, "%s", code);
    snprintf(c->message, sizeof c->message, "%s", message);
    if (waiting) {
        struct http_failure why = {.code = c->code, .message = c->message};
        c->events->answered(c->owner, c->ticket, &why, NULL);
    }
    stream_close(&c->stream);
}

static void fail(struct http_client *c, const char *code, const char *message) {
    end(c, code, message, true);
}

static void take_answer(struct http_client *c) {
    struct http_answer answer = {
        .status = c->response.status,
        .body = c->response.body.data ? c->response.body.data : "",
        .len = c->response.body.len,
    };
    bool keep_alive = c->response.keep_alive;
    c->state = keep_alive ? IDLE : OVER;
    stream_no_deadline(&c->stream);
    if (!keep_alive) {
        stream_close(&c->stream);
    }
    c->events->answered(c->owner, c->ticket, NULL, &answer);
}

static void on_connected(void *owner) {
    struct http_client *c = owner;
    c->state = IDLE;
    stream_no_deadline(&c->stream);
    c->events->ready(c->owner);
}

static void on_received(void *owner, const char *bytes, size_t n) {
    struct http_client *c = owner;
    if (c->state == OVER) {
        return;
    }
    if (c->state != WAITING) {
        fail(c, "EPROTO", "the server answered what nobody asked");
        return;
    }
    switch (http_response_feed(&c->response, bytes, n)) {
    case HTTP_COMPLETE:
        take_answer(c);
        break;
    case HTTP_MALFORMED:
        fail(c, "EPROTO", "not an HTTP response, or too large");
        break;
    case HTTP_MORE:
        break;
    }
}

static void on_expired(void *owner) {
    struct http_client *c = owner;
    fail(c, "ETIMEDOUT",
         c->state == CONNECTING ? "no connection in time" : "the server did not answer in time");
}

static void on_ended(void *owner, int error) {
    struct http_client *c = owner;
    const struct filter *filter = stream_failed_filter(&c->stream);
    if (filter) {
        fail(c, filter->class->code, filter->why);
    } else if (error != UV_EOF) {
        fail(c, uv_err_name(error), uv_strerror(error));
    } else if (c->state != WAITING) {
        end(c, "", "", false);
    } else if (http_response_finish(&c->response) == HTTP_COMPLETE) {
        c->response.keep_alive = false;
        take_answer(c);
    } else {
        fail(c, "ECONNRESET", "the server closed the connection before it had answered");
    }
}

static void on_closed(void *owner) {
    struct http_client *c = owner;
    struct http_failure why = {.code = c->code, .message = c->message};
    c->events->closed(c->owner, c->failed ? &why : NULL);
    http_response_free(&c->response);
    free(c);
}

static const struct stream_events stream_events = {
    .connected = on_connected,
    .received = on_received,
    .expired = on_expired,
    .ended = on_ended,
    .closed = on_closed,
};

struct http_client *http_client_connect(uv_loop_t *loop, const struct http_client_options *options,
                                        const struct http_client_events *events, void *owner,
                                        int *error) {
    struct sockaddr_storage address;
    *error = stream_address(options->ip, options->port, &address);
    if (*error) {
        return NULL;
    }
    struct http_client *c = calloc(1, sizeof *c);
    if (!c) {
        *error = UV_ENOMEM;
        return NULL;
    }
    c->events = events;
    c->owner = owner;
    c->reply_ms = options->reply_ms;
    http_response_init(&c->response);
    stream_open(&c->stream, loop, &address, &stream_events, c, HTTP_CLIENT_UNSENT_MAX);
    if (options->tls) {
        stream_filter(&c->stream, options->tls);
    }
    stream_deadline(&c->stream, options->connect_ms);
    return c;
}

bool http_client_idle(const struct http_client *c) {
    return c->state == IDLE;
}

struct buffer *http_client_begin(struct http_client *c) {
    return c->state == IDLE ? stream_unsent(&c->stream) : NULL;
}

void http_client_commit(struct http_client *c, int ticket) {
    c->state = WAITING;
    c->ticket = ticket;
    http_response_reset(&c->response);
    stream_deadline(&c->stream, c->reply_ms);
    stream_flush_later(&c->stream);
}

void http_client_close(struct http_client *c) {
    end(c, "ECANCELED", "the connection was closed", false);
}
