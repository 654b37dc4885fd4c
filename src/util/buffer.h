/* A growing byte buffer with a hard cap: every buffer of the agent has one. */
#ifndef AGENT_UTIL_BUFFER_H
#define AGENT_UTIL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* owned by the buffer; not NUL terminated */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds it */
};

void buffer_init(struct buffer *b, size_t max);

/* Frees the bytes; the buffer is empty afterwards and may be used again. */
void buffer_free(struct buffer *b);

/* Makes room for `more` bytes behind len. false: over the cap or out of memory; nothing changed. */
bool buffer_reserve(struct buffer *b, size_t more);

/* Appends n bytes. false: over the cap or out of memory; nothing was appended. */
bool buffer_append(struct buffer *b, const void *bytes, size_t n);

/* Drops the first n bytes (n <= len), moving the rest to the front. */
void buffer_consume(struct buffer *b, size_t n);

#endif
