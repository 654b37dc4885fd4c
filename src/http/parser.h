/* Requests out of bytes, fed in slices of any size; knows neither sockets nor Lua.
 *
 * The head is collected whole (at most HTTP_HEAD_MAX), checked for what the parser library lets
 * pass, and then read by the library (llhttp or http-parser, see library.c). Where a body ends is
 * decided here, by one strict reading. Every refusal names the status to answer with. */
#ifndef AGENT_HTTP_PARSER_H
#define AGENT_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/url.h"
#include "util/buffer.h"

enum {
    HTTP_HEAD_MAX = 16 * 1024,
    HTTP_HEADERS_MAX = 100,
    HTTP_PARAMS_MAX = 64,
};

enum http_event {
    HTTP_EVENT_MORE,   /* every byte was taken, the request isn't complete */
    HTTP_EVENT_HEAD,   /* the head is complete and a body follows: look at it, then feed on */
    HTTP_EVENT_DONE,   /* the request is complete: use it, then http_request_next() */
    HTTP_EVENT_FAILED, /* refused for good: status and why */
};

enum http_phase {
    HTTP_PHASE_HEAD,
    HTTP_PHASE_LENGTH, /* a body of known length */
    HTTP_PHASE_CHUNK_SIZE,
    HTTP_PHASE_CHUNK_EXTENSION,
    HTTP_PHASE_CHUNK_SIZE_LF,
    HTTP_PHASE_CHUNK_DATA,
    HTTP_PHASE_CHUNK_CR,
    HTTP_PHASE_CHUNK_LF,
    HTTP_PHASE_TRAILER,
    HTTP_PHASE_TRAILER_LF,
    HTTP_PHASE_DONE,
    HTTP_PHASE_FAILED,
};

struct http_request {
    struct buffer head; /* bytes of the head; spans point into it */
    struct buffer body;
    struct http_span method;
    struct http_span target;
    struct http_span path;                      /* decoded */
    struct http_pair headers[HTTP_HEADERS_MAX]; /* names in lower case, values trimmed */
    struct http_pair params[HTTP_PARAMS_MAX];   /* decoded */
    int header_count;
    int param_count;
    int minor; /* of HTTP/1.minor */
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    uint64_t length; /* declared by Content-Length, else 0 */

    int status;      /* after HTTP_EVENT_FAILED: what to answer */
    const char *why; /* after HTTP_EVENT_FAILED: a constant sentence */

    enum http_phase phase;
    size_t max_body;
    uint64_t left;     /* bytes missing of the body or the chunk */
    unsigned overhead; /* chunk extensions and trailers seen, bounded */
    unsigned digits;   /* of the chunk size being read */
    unsigned line;     /* bytes in the current line of head or trailer */
    unsigned blank;    /* bytes of empty lines before the request line */
    bool after_cr;
};

void http_request_open(struct http_request *p, size_t max_body);
void http_request_free(struct http_request *p);

/* Takes bytes until something is to be said; `used` tells how many were taken. */
enum http_event http_request_feed(struct http_request *p, const char *bytes, size_t n,
                                  size_t *used);

/* Forgets the request that was DONE and gives its memory back; the next one may follow. */
void http_request_next(struct http_request *p);

/* Whether some byte of a request has been taken. */
bool http_request_begun(const struct http_request *p);

/* For the files behind this header. */
enum http_event http_request_fail(struct http_request *p, int status, const char *why);
enum http_event http_head_feed(struct http_request *p, const char *bytes, size_t n, size_t *used);
enum http_event http_body_feed(struct http_request *p, const char *bytes, size_t n, size_t *used);
/* Reads the complete head with the library: headers, version, keep_alive, length, chunked.
 * 0, or the status to refuse with. */
int http_library_read(struct http_request *p);

#endif
