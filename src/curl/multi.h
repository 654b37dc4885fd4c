/* HTTP requests that wait side by side, each alone: libcurl's multi interface, driven by the
 * caller's loop. Nothing here waits. Only for workers, as is everything that needs libcurl. Knows
 * no Lua. */
#ifndef AGENT_CURL_MULTI_H
#define AGENT_CURL_MULTI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

/* Strings may be NULL, and are copied. */
struct multi_request {
    const char *url;    /* http or https */
    const char *method; /* NULL: GET, with a body POST */
    const char *body;   /* NULL: none */
    size_t body_len;
    const char *const *headers; /* "Name: value", ended by NULL; or NULL */
    const char *connect_to;     /* "HOST:PORT:ADDRESS:PORT": no name is looked up */
    const char *unix_path;      /* of a socket, in place of an address */
    const char *ca_file;        /* PEM */
    const char *certificate;    /* PEM, our own */
    const char *key;
    const char *user; /* "NAME:PASSWORD" */
    size_t max_body;
    long redirects; /* how many are followed */
    bool insecure;  /* any certificate will do */
};

struct multi_result {
    int id;
    const char *code; /* NULL: an answer came. Else a constant, as in session.h */
    const char *why;  /* with code: a sentence */
    long status;
    const struct buffer *head; /* of all answers, redirects included, as they came */
    const struct buffer *body;
    const char *address;     /* that answered */
    const char *certificate; /* when it expires, as OpenSSL writes it; NULL without TLS */
    /* seconds since the start at which each was over */
    double connect, tls, first_byte, total;
};

struct multi;

/* NULL: libcurl could not be set up. */
struct multi *multi_open(void);

/* Begins a request. Its id, from 1 on; 0: no memory, or libcurl doesn't take it. */
int multi_add(struct multi *m, const struct multi_request *request);

/* Breaks a request off; an unknown id is fine. */
void multi_remove(struct multi *m, int id);

/* Descriptor that is readable whenever multi_act() has something to do. */
int multi_fd(const struct multi *m);

/* Does what can be done now. */
void multi_act(struct multi *m, bool time_has_come);

/* Milliseconds until multi_act(true) is due; negative: it isn't. */
long multi_timeout(const struct multi *m);

/* The next request that is over; `out` is good until the next call. false: none now. */
bool multi_next(struct multi *m, struct multi_result *out);

/* Requests under way. */
int multi_count(const struct multi *m);

/* Breaks off what is under way; NULL is fine. */
void multi_close(struct multi *m);

#endif
