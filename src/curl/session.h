/* HTTP requests of one errand, at once and over shared connections, with one deadline for all of
 * them. Blocks; only for workers, as is everything that needs libcurl. Knows no Lua. */
#ifndef AGENT_CURL_SESSION_H
#define AGENT_CURL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

/* Strings may be NULL: libcurl's own answer then. They are copied. */
struct session_options {
    uint64_t deadline_ms; /* from session_open() to the end of the last answer */
    uint64_t connect_ms;
    size_t max_body; /* bytes of an answer, decoded */
    const char *ca_file;
    const char *ca_dir;
    const char *cert; /* PEM */
    const char *key;
    const char *no_proxy;
    const char *user_agent;
};

struct session_request {
    const char *url;            /* http or https, anything else is refused */
    const char *body;           /* NULL: GET, else POST */
    size_t body_len;            /* both are copied */
    const char *const *headers; /* "Name: value", ended by NULL; or NULL */
};

struct session_result {
    int id;
    const char *code; /* NULL: an answer came. Else a constant such as "timeout" or "connect" */
    const char *why;  /* with code: a sentence, good until the next call */
    long status;
    const char *redirect; /* where an answer 3xx points to, absolute; NULL otherwise */
    const struct buffer *body;
    uint64_t wire_bytes; /* of the body, before it was decoded */
    long retry_after;    /* seconds the server asked us to wait; 0: it did not */
    bool reused;         /* a connection that was open already */
};

struct session;

/* NULL: libcurl could not be set up. */
struct session *session_open(const struct session_options *options);

/* The deadline counts from now on: for sessions that live longer than one errand. */
void session_renew(struct session *s, uint64_t deadline_ms);

/* Queues a request. Its id, counted from 1; 0: no memory, or libcurl knows why not. */
int session_add(struct session *s, const struct session_request *request);

/* Waits for the next request that is over, in any order, whatever its end. false: there is none
 * left. `out` points into the session: good until the next call. */
bool session_next(struct session *s, struct session_result *out);

/* Breaks off what is under way and frees everything; NULL is fine. */
void session_close(struct session *s);

#endif
