/* An HTTP/1.1 connection for POST requests, one at a time, kept alive between them. */
#ifndef AGENT_HTTP_CLIENT_H
#define AGENT_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "net/filter.h"
#include "util/buffer.h"

enum { HTTP_CLIENT_UNSENT_MAX = 8 * 1024 * 1024 }; /* one request with its body */

struct http_client;

/* Why something failed; the strings live during the call that hands it over. */
struct http_failure {
    const char *code; /* a libuv name (ECONNREFUSED, ETIMEDOUT …) or EPROTO */
    const char *message;
};

struct http_answer {
    int status;
    const char *body;
    size_t len;
};

/* Called from the loop. `answered` comes once for every request, with one of the two; `closed` is
 * the last call, with NULL when http_client_close() was called or the server ended a connection in
 * peace. */
struct http_client_events {
    void (*ready)(void *owner);
    void (*answered)(void *owner, int ticket, const struct http_failure *why,
                     const struct http_answer *answer);
    void (*closed)(void *owner, const struct http_failure *why);
};

struct http_client_options {
    const char *ip; /* numeric */
    int port;
    uint64_t connect_ms;
    uint64_t reply_ms;  /* from the request to its whole answer */
    struct filter *tls; /* NULL: plain; becomes the client's, unless connecting fails at once */
};

/* Begins to connect. NULL with *error = a libuv error: bad address or no memory. The client frees
 * itself after `closed`. */
struct http_client *http_client_connect(uv_loop_t *loop, const struct http_client_options *options,
                                        const struct http_client_events *events, void *owner,
                                        int *error);

/* Connected, and no request is waiting for its answer. */
bool http_client_idle(const struct http_client *c);

/* Where to append a whole request, head and body, while idle; NULL when not idle. */
struct buffer *http_client_begin(struct http_client *c);

/* The request appended leaves at the end of this turn of the loop; `ticket` is handed back by
 * `answered`. */
void http_client_commit(struct http_client *c, int ticket);

/* A waiting request fails with ECANCELED before this returns; `closed` comes later. May be
 * repeated. */
void http_client_close(struct http_client *c);

#endif
