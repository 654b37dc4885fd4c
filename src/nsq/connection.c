#include "nsq/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"

enum state { CONNECTING, IDENTIFYING, READY, OVER };

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
    if (error == UV_EOF) {
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
        c->state = READY;
        c->events->ready(c->owner, frame->data, frame->len);
    } else if (c->count && is(frame, "OK")) {
        c->events->answered(c->owner, pop(c), NULL);
    } else {
        fail(c, "EPROTO", "nsqd answered what nobody asked", false);
    }
}

static void on_received(void *owner, const char *bytes, size_t n) {
    struct nsq_connection *c = owner;
    struct nsq_frame frame;
    enum nsq_next found = NSQ_FRAME;
    c->heard = now(c);
    while (c->state != OVER &&
           (found = nsq_decoder_next(&c->decoder, &bytes, &n, &frame)) == NSQ_FRAME) {
        take_frame(c, &frame);
    }
    if (found == NSQ_MALFORMED) {
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
    const char *why = c->state == CONNECTING                ? "no connection in time"
                      : c->count || c->state == IDENTIFYING ? "nsqd did not answer in time"
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
    stream_open(&c->stream, loop, &address, &stream_events, c, NSQ_UNSENT_MAX);
    stream_deadline(&c->stream, c->connect_ms);
    return c;
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
