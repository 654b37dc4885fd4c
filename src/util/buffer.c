#include "util/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 256 };

void buffer_init(struct buffer *b, size_t max) {
    *b = (struct buffer){.max = max};
}

void buffer_free(struct buffer *b) {
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

bool buffer_reserve(struct buffer *b, size_t more) {
    if (more > b->max - b->len) {
        return false;
    }
    size_t need = b->len + more;
    if (need <= b->cap) {
        return true;
    }
    size_t cap = b->cap ? b->cap : SMALLEST;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > b->max) {
        cap = b->max;
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

bool buffer_append(struct buffer *b, const void *bytes, size_t n) {
    if (!buffer_reserve(b, n)) {
        return false;
    }
    if (n) {
        memcpy(b->data + b->len, bytes, n);
    }
    b->len += n;
    return true;
}

void buffer_consume(struct buffer *b, size_t n) {
    if (n) {
        memmove(b->data, b->data + n, b->len - n);
    }
    b->len -= n;
}
