/* An HTTP/1.1 response read in pieces, with hard limits. Hides which parser the system has. */
#ifndef AGENT_HTTP_RESPONSE_H
#define AGENT_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef HAVE_LLHTTP
#include <llhttp.h>
typedef llhttp_t http_response_parser;
#else
#include <http_parser.h>
typedef http_parser http_response_parser;
#endif

#include "util/buffer.h"

enum {
    HTTP_RESPONSE_BODY_MAX = 64 * 1024, /* kept; more is an error */
    HTTP_RESPONSE_MAX = 128 * 1024,     /* head, chunk headers and body together */
};

enum http_progress { HTTP_MORE, HTTP_COMPLETE, HTTP_MALFORMED };

struct http_response {
    http_response_parser parser;
    struct buffer body; /* owned */
    size_t total;
    int status;      /* 0 until the head has been read */
    bool keep_alive; /* valid once complete: another request may follow on the connection */
    bool complete;
};

/* Prepares for a response to a request that is not HEAD; init once, reset before each further one.
 */
void http_response_init(struct http_response *r);
void http_response_reset(struct http_response *r);
void http_response_free(struct http_response *r);

/* Takes the next bytes. HTTP_MALFORMED: not HTTP, over a limit, or bytes behind the response that
 * nobody asked for; give the connection up. 1xx responses are passed over. */
enum http_progress http_response_feed(struct http_response *r, const char *bytes, size_t n);

/* The body so far has been taken: it is forgotten and no longer counts for the limits. */
void http_response_taken(struct http_response *r);

/* The peer closed the connection: complete when the response was one that ends so. */
enum http_progress http_response_finish(struct http_response *r);

#endif
