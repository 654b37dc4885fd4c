/* A publisher's connection to one nsqd: identifies, answers heartbeats, sends commands pipelined
 * and matches nsqd's answers, which come in order. When anything goes wrong the connection is over:
 * all in flight fails, and the owner makes a new one. */
#ifndef AGENT_NSQ_CONNECTION_H
#define AGENT_NSQ_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "net/filter.h"
#include "nsq/protocol.h"

enum {
    NSQ_WINDOW = 64,                  /* commands in flight */
    NSQ_UNSENT_MAX = 8 * 1024 * 1024, /* bytes that nsqd hasn't taken yet */
};

struct nsq_connection;

/* Why something failed; the strings live during the call that hands it over. */
struct nsq_failure {
    const char *code; /* nsqd's (E_BAD_TOPIC …), a libuv name (ECONNREFUSED …) or EPROTO */
    const char *message;
    bool guilty; /* this very command was answered by an error; the others only shared its
                    connection */
};

/* What follows nsqd's answer to IDENTIFY, in this order; each may be NULL. */
struct nsq_plan {
    struct filter *tls;
    struct filter *deflate;
    const char *secret; /* of AUTH */
    size_t secret_len;
};

/* Called from the loop. `answered` comes exactly once for every ticket, with NULL when nsqd has the
 * batch; `closed` is the last call, with NULL after nsq_connection_close(). */
struct nsq_events {
    /* nsqd's answer to IDENTIFY came: now is the time for nsq_connection_plan(). */
    void (*identified)(void *owner, const char *reply, size_t len);
    void (*ready)(void *owner);
    void (*answered)(void *owner, int ticket, const struct nsq_failure *why);
    void (*closed)(void *owner, const struct nsq_failure *why);
};

struct nsq_options {
    const char *ip; /* numeric */
    int port;
    const char *identify; /* JSON text; copied */
    size_t identify_len;
    uint64_t connect_ms;
    uint64_t ack_ms;
    uint64_t heartbeat_ms; /* as in the JSON: silence of two of them means nsqd is gone */
};

/* Begins to connect. NULL with *error = a libuv error: bad address or no memory. The connection
 * frees itself after `closed`. */
struct nsq_connection *nsq_connect(uv_loop_t *loop, const struct nsq_options *options,
                                   const struct nsq_events *events, void *owner, int *error);

/* Says what follows IDENTIFY. The filters become the connection's whatever is returned, the secret
 * is copied. 0, UV_ENOTCONN (not now), UV_ENOBUFS (the secret is too long). */
int nsq_connection_plan(struct nsq_connection *c, const struct nsq_plan *plan);

/* Begins a batch in the connection's memory; add and end it with nsq_batch_add(), nsq_batch_end()
 * before anything else happens, then commit it. 0, UV_ENOTCONN, UV_EAGAIN (window full),
 * UV_ENOBUFS. */
int nsq_connection_begin(struct nsq_connection *c, struct nsq_batch *batch, const char *topic,
                         size_t len, bool single);

/* The ended batch leaves at the end of this turn of the loop; `ticket` is handed back by
 * `answered`. */
void nsq_connection_commit(struct nsq_connection *c, int ticket);

size_t nsq_connection_inflight(const struct nsq_connection *c);

/* Everything in flight fails with ECANCELED before this returns; `closed` comes later. May be
 * repeated. */
void nsq_connection_close(struct nsq_connection *c);

/* Answers arriving one by one wake the loop once (default), or each for itself: to measure the
 * difference. */
void nsq_connection_gather(struct nsq_connection *c, bool gather);

#endif
