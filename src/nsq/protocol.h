/* NSQ's TCP protocol V2, the publisher's side: bytes to send, frames received. All integers big
 * endian. */
#ifndef AGENT_NSQ_PROTOCOL_H
#define AGENT_NSQ_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum {
    NSQ_OK_FRAME = 10,         /* bytes of an `OK` as it stands on the wire */
    NSQ_FRAME_MAX = 64 * 1024, /* a publisher is sent OK, heartbeats, errors and one JSON text */
    NSQ_TOPIC_MAX = 64,
    NSQ_MESSAGE_MAX = 1024 * 1024,  /* nsqd's default -max-msg-size */
    NSQ_BODY_MAX = 5 * 1024 * 1024, /* nsqd's default -max-body-size */
};

/* 1..64 of [.a-zA-Z0-9_-], optionally ending in #ephemeral. */
bool nsq_topic_valid(const char *topic, size_t len);

/* The magic and IDENTIFY with a JSON text. false: over the buffer's cap; nothing was appended. */
bool nsq_identify(struct buffer *out, const char *json, size_t len);

/* AUTH with a secret. false: over the buffer's cap, or longer than nsqd takes; nothing was
 * appended. */
bool nsq_auth(struct buffer *out, const char *secret, size_t len);

/* NOP, the answer to a heartbeat. */
bool nsq_nop(struct buffer *out);

/* One publishing command, appended to a buffer message by message: PUB for a single one, else MPUB.
 * Nothing but this may be appended between begin and end. */
struct nsq_batch {
    struct buffer *out;
    size_t start;   /* where the command begins */
    size_t lengths; /* where the u32 lengths and count of an MPUB are filled in */
    uint32_t count;
    bool single;
};

/* Each is false when the bytes are too many for the buffer, a message or a body, or a message is
 * empty: the buffer is then as it was before begin, and the batch over. */
bool nsq_batch_begin(struct nsq_batch *b, struct buffer *out, const char *topic, size_t len,
                     bool single);
bool nsq_batch_add(struct nsq_batch *b, const char *head, size_t head_len, const char *body,
                   size_t body_len);
bool nsq_batch_end(struct nsq_batch *b);
void nsq_batch_abandon(struct nsq_batch *b);

enum { NSQ_RESPONSE = 0, NSQ_ERROR = 1, NSQ_MESSAGE = 2 };

struct nsq_frame {
    uint32_t type;
    const char *data; /* valid until the next call for this decoder or its input's end */
    size_t len;
};

struct nsq_decoder {
    struct buffer partial; /* the beginning of a frame; owned */
    bool taken;            /* `partial` was handed out and is to be forgotten */
};

enum nsq_next { NSQ_MORE, NSQ_FRAME, NSQ_MALFORMED };

void nsq_decoder_init(struct nsq_decoder *d);
void nsq_decoder_free(struct nsq_decoder *d);

/* Takes the next frame from *bytes, *n, which advance. NSQ_MORE: all was taken, feed more later.
 * NSQ_MALFORMED: the peer doesn't speak the protocol or sends more than NSQ_FRAME_MAX; give it up.
 */
enum nsq_next nsq_decoder_next(struct nsq_decoder *d, const char **bytes, size_t *n,
                               struct nsq_frame *frame);

/* Bytes of an unfinished frame. */
size_t nsq_decoder_pending(const struct nsq_decoder *d);

#endif
