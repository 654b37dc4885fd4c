/* Answers that may be given again: to a request of the very same bytes, for some milliseconds. They
 * save the handler its work when somebody asks the same ten thousand times a second. */
#ifndef AGENT_HTTP_PREPARED_H
#define AGENT_HTTP_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum { HTTP_PREPARED_SLOTS = 4, HTTP_PREPARED_HEAD_MAX = 1024, HTTP_PREPARED_MAX = 256 * 1024 };

struct http_prepared_slot {
    struct buffer head;   /* of the request, byte for byte */
    struct buffer answer; /* status line, headers, body: complete */
    uint64_t until;       /* milliseconds; 0: empty */
    uint64_t second;      /* of the answer's Date */
};

struct http_prepared {
    struct http_prepared_slot slots[HTTP_PREPARED_SLOTS];
    unsigned next;  /* the slot that is used up next */
    unsigned count; /* that hold something */
};

void http_prepared_init(struct http_prepared *p);
void http_prepared_free(struct http_prepared *p);
void http_prepared_forget(struct http_prepared *p);

/* The answer to the request that `bytes` begin with, if there is one: NULL, or the answer, with the
 * length of that request in `used`. `now` in milliseconds of the loop, `second` of the wall clock.
 */
const struct buffer *http_prepared_find(const struct http_prepared *p, const char *bytes, size_t n,
                                        uint64_t now, uint64_t second, size_t *used);

/* Keeps the answer made of both pieces. Where it is too large nothing is kept. */
void http_prepared_keep(struct http_prepared *p, const char *request, size_t n,
                        const struct buffer *head, const char *body, size_t body_len,
                        uint64_t until, uint64_t second);

#endif
