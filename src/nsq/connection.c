#include "nsq/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"

/* After IDENTIFYING come those of UPGRADING_TLS to AUTHENTICATING that the plan has. */
enum state {
    CONNECTING,
    IDENTIFYING,
    UPGRADING_TLS,
    UPGRADING_DEFLATE,
    AUTHENTICATING,
    READY,
    OVER
};

struct inflight {
    uint64_t sent; /* uv_now() */
    int ticket;
};

struct nsq_connection {
    struct stream stream;
    struct nsq_decoder decoder;
    const struct nsq_events *events;
    void *owner;
    enum state state;
    struct inflight window[NSQ_WINDOW]; /* a ring */
    size_t first;
    size_t count;
    uint64_t connect_ms;
    uint64_t ack_ms;
    uint64_t heartbeat_ms;
    uint64_t heard; /* uv_now() of the last bytes */
    uint64_t armed; /* what the deadline is set to */
    bool gather;
    char *identify; /* owned; NULL once sent */
    size_t identify_len;
    struct filter *tls; /* owned until the stream has them */
    struct filter *deflate;
    struct buffer secret; /* owned; forgotten once sent */
    bool switched;        /* what follows the bytes that are being taken belongs to a new filter */
    bool failed;
    char code[32];
    char message[256];
};

static int pop(struct nsq_connection *c) {
    int ticket = c->window[c->first].ticket;
    c->first = (c->first + 1) % NSQ_WINDOW;
    c->count--;
    return ticket;
}

static void end(struct nsq_connection *c, const char *code, const char *message, bool guilty) {
    if (c->state == OVER) {
        return;
    }
    struct nsq_failure why = {.code = code, .message = message, .guilty = guilty};
    c->state = OVER;
    while (c->count) {
        c->events->answered(c->owner, pop(c), &why);
        why.guilty = false;
    }
    stream_close(&c->stream);
}

static void fail(struct nsq_connection *c, const char *code, const char *message, bool guilty) {
    if (c->state == OVER) {
        return;
    }
    c->failed = true;
    snprintf(c->code, sizeof c->code, "%s", code);
    snprintf(c->message, sizeof c->message, "%s", message);
    end(c, c->code, c->message, guilty);
}

static void fail_uv(struct nsq_connection *c, int error) {
    const struct filter *filter = stream_failed_filter(&c->stream);
    if (filter) {
        fail(c, filter->class->code, filter->why, false);
    } else if (error == UV_EOF) {
        fail(c, "ECONNRESET", "nsqd closed the connection", false);
    } else {
        fail(c, uv_err_name(error), uv_strerror(error), false);
    }
}

static uint64_t now(const struct nsq_connection *c) {
    return uv_now(c->stream.tcp.loop);
}

static uint64_t due(const struct nsq_connection *c) {
    return c->count ? c->window[c->first].sent + c->ack_ms : c->heard + 2 * c->heartbeat_ms;
}

/* Sets the next deadline and how many bytes of answers are worth waking up for. */
static void watch(struct nsq_connection *c) {
    uint64_t at = due(c);
    uint64_t t = now(c);
    if (at != c->armed) {
        c->armed = at;
        stream_deadline(&c->stream, at > t ? at - t : 0);
    }
    size_t awaited = c->count > 1 && c->gather ? c->count * NSQ_OK_FRAME : 1;
    size_t pending = nsq_decoder_pending(&c->decoder);
    stream_expect(&c->stream, awaited > pending ? awaited - pending : 1);
}

/* nsqd's `CODE description`; the code alone where it says no more. */
static void take_error(struct nsq_connection *c, const struct nsq_frame *frame) {
    char text[sizeof c->message];
    char code[sizeof c->code];
    snprintf(text, sizeof text, "%.*s", (int)(frame->len < 1024 ? frame->len : 1024), frame->data);
    size_t word = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    snprintf(code, sizeof code, "%.*s", (int)word, text);
    fail(c, code[0] ? code : "EPROTO", text, c->state == READY);
}

static bool is(const struct nsq_frame *frame, const char *text) {
    return frame->len == strlen(text) && memcmp(frame->data, text, frame->len) == 0;
}

static bool authenticate(struct nsq_connection *c) {
    bool fits = nsq_auth(stream_unsent(&c->stream), c->secret.data, c->secret.len);
    explicit_bzero(c->secret.data, c->secret.len);
    buffer_free(&c->secret);
    if (!fits) {
        fail(c, "ENOBUFS", "the secret of AUTH is too long", false);
    }
    stream_flush_later(&c->stream);
    return fits;
}

/* The next step of the plan, in the order that nsqd takes them. nsqd says OK in the new form after
 * each upgrade, and may not wait between two of them. */
static void go_on(struct nsq_connection *c) {
    stream_deadline(&c->stream, c->ack_ms);
    if (c->tls) {
        c->state = UPGRADING_TLS;
        c->switched = true;
        struct filter *f = c->tls;
        c->tls = NULL;
        stream_filter(&c->stream, f);
    } else if (c->deflate) {
        c->state = UPGRADING_DEFLATE;
        c->switched = true;
        struct filter *f = c->deflate;
        c->deflate = NULL;
        stream_filter(&c->stream, f);
    } else if (c->secret.len) {
        c->state = AUTHENTICATING;
        authenticate(c);
    } else {
        c->state = READY;
        c->events->ready(c->owner);
    }
}

static void free_plan(struct nsq_connection *c) {
    struct filter *unused[] = {c->tls, c->deflate};
    for (size_t i = 0; i < 2; i++) {
        if (unused[i]) {
            unused[i]->class->free(unused[i]);
        }
    }
    c->tls = c->deflate = NULL;
    buffer_free(&c->secret);
}

static void take_frame(struct nsq_connection *c, const struct nsq_frame *frame) {
    if (frame->type == NSQ_ERROR) {
        take_error(c, frame);
    } else if (frame->type != NSQ_RESPONSE) {
        fail(c, "EPROTO", "nsqd sent a message to a publisher", false);
    } else if (is(frame, "_heartbeat_")) {
        if (nsq_nop(stream_unsent(&c->stream))) {
            stream_flush_later(&c->stream);
        }
    } else if (c->state == IDENTIFYING) {
        c->events->identified(c->owner, frame->data, frame->len);
        if (c->state == IDENTIFYING) {
            go_on(c);
        }
    } else if (c->state == AUTHENTICATING ||
               ((c->state == UPGRADING_TLS || c->state == UPGRADING_DEFLATE) && is(frame, "OK"))) {
        go_on(c);
    } else if (c->count && is(frame, "OK")) {
        c->events->answered(c->owner, pop(c), NULL);
    } else {
        fail(c, "EPROTO", "nsqd answered what nobody asked", false);
    }
}

/* Bytes behind the frame after which a filter took over: nsqd may already speak through DEFLATE,
 * but in TLS it waits for us, so whoever says something is somebody else. */
static void switch_over(struct nsq_connection *c, const char *bytes, size_t n) {
    c->switched = false;
    if (!n) {
        return;
    }
    if (c->state == UPGRADING_TLS) {
        fail(c, "ETLS", "something was said in plain text where TLS had to begin", false);
    } else {
        stream_refeed(&c->stream, bytes, n);
    }
}

static void on_received(void *owner, const char *bytes, size_t n) {
    struct nsq_connection *c = owner;
    struct nsq_frame frame;
    enum nsq_next found = NSQ_FRAME;
    c->heard = now(c);
    while (c->state != OVER && !c->switched &&
           (found = nsq_decoder_next(&c->decoder, &bytes, &n, &frame)) == NSQ_FRAME) {
        take_frame(c, &frame);
    }
    if (c->state != OVER && c->switched) {
        switch_over(c, bytes, n);
    } else if (found == NSQ_MALFORMED) {
        fail(c, "EPROTO", "not a frame of nsqd, or too large", false);
    }
    if (c->state == READY) {
        watch(c);
    }
}

static void on_connected(void *owner) {
    struct nsq_connection *c = owner;
    bool fits = nsq_identify(stream_unsent(&c->stream), c->identify, c->identify_len);
    free(c->identify);
    c->identify = NULL;
    if (!fits) {
        fail(c, "ENOBUFS", "IDENTIFY is too large", false);
        return;
    }
    c->state = IDENTIFYING;
    stream_deadline(&c->stream, c->ack_ms);
    stream_flush_later(&c->stream);
}

static void on_expired(void *owner) {
    struct nsq_connection *c = owner;
    const char *why = c->state == CONNECTING          ? "no connection in time"
                      : c->state == UPGRADING_TLS     ? "no TLS handshake in time"
                      : c->count || c->state != READY ? "nsqd did not answer in time"
                                                      : "no heartbeat from nsqd";
    fail(c, "ETIMEDOUT", why, false);
}

static void on_ended(void *owner, int error) {
    fail_uv(owner, error);
}

static void on_closed(void *owner) {
    struct nsq_connection *c = owner;
    struct nsq_failure why = {.code = c->code, .message = c->message};
    c->events->closed(c->owner, c->failed ? &why : NULL);
    nsq_decoder_free(&c->decoder);
    free_plan(c);
    free(c->identify);
    free(c);
}

static const struct stream_events stream_events = {
    .connected = on_connected,
    .received = on_received,
    .expired = on_expired,
    .ended = on_ended,
    .closed = on_closed,
};

struct nsq_connection *nsq_connect(uv_loop_t *loop, const struct nsq_options *options,
                                   const struct nsq_events *events, void *owner, int *error) {
    struct sockaddr_storage address;
    *error = stream_address(options->ip, options->port, &address);
    if (*error) {
        return NULL;
    }
    struct nsq_connection *c = calloc(1, sizeof *c);
    char *identify = malloc(options->identify_len + 1);
    if (!c || !identify) {
        free(c);
        free(identify);
        *error = UV_ENOMEM;
        return NULL;
    }
    memcpy(identify, options->identify, options->identify_len);
    c->identify = identify;
    c->identify_len = options->identify_len;
    c->events = events;
    c->owner = owner;
    c->connect_ms = options->connect_ms;
    c->ack_ms = options->ack_ms;
    c->heartbeat_ms = options->heartbeat_ms;
    c->gather = true;
    c->heard = uv_now(loop);
    nsq_decoder_init(&c->decoder);
    buffer_init(&c->secret, NSQ_FRAME_MAX);
    stream_open(&c->stream, loop, &address, &stream_events, c, NSQ_UNSENT_MAX);
    stream_deadline(&c->stream, c->connect_ms);
    return c;
}

int nsq_connection_plan(struct nsq_connection *c, const struct nsq_plan *plan) {
    free_plan(c);
    c->tls = plan->tls;
    c->deflate = plan->deflate;
    if (c->state != IDENTIFYING) {
        free_plan(c);
        return UV_ENOTCONN;
    }
    return buffer_append(&c->secret, plan->secret, plan->secret_len) ? 0 : UV_ENOBUFS;
}

int nsq_connection_begin(struct nsq_connection *c, struct nsq_batch *batch, const char *topic,
                         size_t len, bool single) {
    if (c->state != READY) {
        return UV_ENOTCONN;
    }
    if (c->count == NSQ_WINDOW) {
        return UV_EAGAIN;
    }
    return nsq_batch_begin(batch, stream_unsent(&c->stream), topic, len, single) ? 0 : UV_ENOBUFS;
}

void nsq_connection_commit(struct nsq_connection *c, int ticket) {
    size_t at = (c->first + c->count) % NSQ_WINDOW;
    c->window[at] = (struct inflight){.sent = now(c), .ticket = ticket};
    c->count++;
    watch(c);
    stream_flush_later(&c->stream);
}

size_t nsq_connection_inflight(const struct nsq_connection *c) {
    return c->count;
}

void nsq_connection_close(struct nsq_connection *c) {
    end(c, "ECANCELED", "the connection was closed", false);
}

void nsq_connection_gather(struct nsq_connection *c, bool gather) {
    c->gather = gather;
}
