#include "nsq/protocol.h"

#include <string.h>

enum { FRAME_HEAD = 8, LENGTH = 4 };

static const char ephemeral[] = "#ephemeral";

static void put_u32(char *at, size_t value) {
    at[0] = (char)(value >> 24);
    at[1] = (char)(value >> 16);
    at[2] = (char)(value >> 8);
    at[3] = (char)value;
}

static uint32_t get_u32(const char *at) {
    const unsigned char *u = (const unsigned char *)at;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static bool topic_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool nsq_topic_valid(const char *topic, size_t len) {
    size_t suffix = sizeof ephemeral - 1;
    if (len > NSQ_TOPIC_MAX) {
        return false;
    }
    if (len > suffix && memcmp(topic + len - suffix, ephemeral, suffix) == 0) {
        len -= suffix;
    }
    for (size_t i = 0; i < len; i++) {
        if (!topic_char(topic[i])) {
            return false;
        }
    }
    return len > 0;
}

/* A command whose body is one text. */
static bool put_command(struct buffer *out, const char *command, const char *text, size_t len) {
    char length[LENGTH];
    size_t n = strlen(command);
    if (len > NSQ_FRAME_MAX || !buffer_reserve(out, n + LENGTH + len)) {
        return false;
    }
    put_u32(length, len);
    buffer_append(out, command, n);
    buffer_append(out, length, LENGTH);
    buffer_append(out, text, len);
    return true;
}

bool nsq_identify(struct buffer *out, const char *json, size_t len) {
    return put_command(out, "  V2IDENTIFY\n", json, len);
}

bool nsq_auth(struct buffer *out, const char *secret, size_t len) {
    return put_command(out, "AUTH\n", secret, len);
}

bool nsq_nop(struct buffer *out) {
    return buffer_append(out, "NOP\n", 4);
}

void nsq_batch_abandon(struct nsq_batch *b) {
    b->out->len = b->start;
}

bool nsq_batch_begin(struct nsq_batch *b, struct buffer *out, const char *topic, size_t len,
                     bool single) {
    static const char zeros[2 * LENGTH];
    const char *command = single ? "PUB " : "MPUB ";
    *b = (struct nsq_batch){.out = out, .start = out->len, .single = single};
    bool fits = buffer_append(out, command, strlen(command)) && buffer_append(out, topic, len) &&
                buffer_append(out, "\n", 1);
    b->lengths = out->len;
    if (!fits || (!single && !buffer_append(out, zeros, sizeof zeros))) {
        nsq_batch_abandon(b);
        return false;
    }
    return true;
}

bool nsq_batch_add(struct nsq_batch *b, const char *head, size_t head_len, const char *body,
                   size_t body_len) {
    char length[LENGTH];
    size_t len = head_len + body_len;
    if (len == 0 || head_len > NSQ_MESSAGE_MAX || body_len > NSQ_MESSAGE_MAX ||
        len > NSQ_MESSAGE_MAX || (b->single && b->count) || !buffer_reserve(b->out, LENGTH + len)) {
        nsq_batch_abandon(b);
        return false;
    }
    put_u32(length, len);
    buffer_append(b->out, length, LENGTH);
    buffer_append(b->out, head, head_len);
    buffer_append(b->out, body, body_len);
    b->count++;
    return true;
}

bool nsq_batch_end(struct nsq_batch *b) {
    size_t body = b->out->len - b->lengths - LENGTH;
    if (b->count == 0 || body > NSQ_BODY_MAX) {
        nsq_batch_abandon(b);
        return false;
    }
    if (!b->single) {
        put_u32(b->out->data + b->lengths, body);
        put_u32(b->out->data + b->lengths + LENGTH, b->count);
    }
    return true;
}

void nsq_decoder_init(struct nsq_decoder *d) {
    *d = (struct nsq_decoder){0};
    buffer_init(&d->partial, NSQ_FRAME_MAX + LENGTH);
}

void nsq_decoder_free(struct nsq_decoder *d) {
    buffer_free(&d->partial);
}

size_t nsq_decoder_pending(const struct nsq_decoder *d) {
    return d->taken ? 0 : d->partial.len;
}

/* What the frame at `at` says of itself: its whole length on the wire, 0 when that can't be. */
static size_t frame_length(const char *at, struct nsq_frame *frame) {
    uint32_t size = get_u32(at);
    frame->type = get_u32(at + LENGTH);
    if (size < LENGTH || size > NSQ_FRAME_MAX || frame->type > NSQ_MESSAGE) {
        return 0;
    }
    frame->data = at + FRAME_HEAD;
    frame->len = size - LENGTH;
    return size + LENGTH;
}

/* Moves input into `partial` until it holds `want` bytes. */
static enum nsq_next fill(struct nsq_decoder *d, const char **bytes, size_t *n, size_t want) {
    size_t take = d->partial.len < want ? want - d->partial.len : 0;
    if (take > *n) {
        take = *n;
    }
    if (!buffer_append(&d->partial, *bytes, take)) {
        return NSQ_MALFORMED;
    }
    *bytes += take;
    *n -= take;
    return d->partial.len < want ? NSQ_MORE : NSQ_FRAME;
}

static enum nsq_next next_partial(struct nsq_decoder *d, const char **bytes, size_t *n,
                                  struct nsq_frame *frame) {
    enum nsq_next found = fill(d, bytes, n, FRAME_HEAD);
    if (found != NSQ_FRAME) {
        return found;
    }
    size_t length = frame_length(d->partial.data, frame);
    if (!length) {
        return NSQ_MALFORMED;
    }
    found = fill(d, bytes, n, length);
    if (found == NSQ_FRAME) {
        frame->data = d->partial.data + FRAME_HEAD;
        d->taken = true;
    }
    return found;
}

enum nsq_next nsq_decoder_next(struct nsq_decoder *d, const char **bytes, size_t *n,
                               struct nsq_frame *frame) {
    if (d->taken) {
        d->taken = false;
        d->partial.len = 0;
    }
    if (d->partial.len == 0 && *n >= FRAME_HEAD) {
        size_t length = frame_length(*bytes, frame);
        if (!length) {
            return NSQ_MALFORMED;
        }
        if (length <= *n) {
            *bytes += length;
            *n -= length;
            return NSQ_FRAME;
        }
    }
    return next_partial(d, bytes, n, frame);
}
