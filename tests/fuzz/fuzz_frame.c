/* A stream of frames gives the same frames, or the same refusal, whole and in slices. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t hash;
    size_t frames;
};

static void mix(struct seen *seen, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        seen->hash = (seen->hash ^ (unsigned char)bytes[i]) * 1099511628211U;
    }
}

static bool take(void *ctx, const char *bytes, size_t len) {
    struct seen *seen = ctx;
    assert(len <= FRAME_MAX);
    mix(seen, bytes, len);
    mix(seen, "|", 1);
    seen->frames++;
    return true;
}

static enum frame_status feed(const uint8_t *data, size_t size, size_t slice, struct seen *seen,
                              bool *between) {
    struct frame_parser p;
    enum frame_status status = FRAME_OK;
    frame_init(&p);
    for (size_t at = 0; at < size && status == FRAME_OK; at += slice) {
        size_t n = size - at < slice ? size - at : slice;
        char *copy = malloc(n); /* exactly so long: reading beyond it is seen */
        memcpy(copy, data + at, n);
        status = frame_feed(&p, copy, n, take, seen);
        free(copy);
    }
    *between = frame_between(&p);
    assert(p.body.len <= size);
    frame_free(&p);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct seen whole = {0}, sliced = {0};
    bool between_whole, between_sliced;
    if (size == 0) {
        return 0;
    }
    enum frame_status status = feed(data, size, size, &whole, &between_whole);
    assert(feed(data, size, 3, &sliced, &between_sliced) == status);
    assert(whole.hash == sliced.hash && whole.frames == sliced.frames);
    assert(status != FRAME_OK || between_whole == between_sliced);
    return 0;
}
