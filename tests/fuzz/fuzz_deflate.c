/* What a peer's DEFLATE stream says doesn't depend on how its bytes are cut, and never exceeds its
 * cap. The first byte of the input says how to cut the rest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "zlib/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 256 * 1024 };

static enum filter_state receive(const char *bytes, size_t size, size_t slice,
                                 struct buffer *plain) {
    struct filter *f = deflate_filter(1);
    enum filter_state state = FILTER_OPEN;
    for (size_t at = 0; f && at < size && state == FILTER_OPEN; at += slice) {
        size_t n = size - at < slice ? size - at : slice;
        char *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        state = f->class->receive(f, copy, n, plain, NULL);
        free(copy);
    }
    if (f) {
        f->class->free(f);
    }
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    struct buffer whole;
    struct buffer cut;
    buffer_init(&whole, CAP);
    buffer_init(&cut, CAP);
    enum filter_state first = receive(bytes, size - 1, size, &whole);
    enum filter_state second = receive(bytes, size - 1, data[0] % 16 + 1u, &cut);
    if (whole.len > CAP || cut.len > CAP) {
        abort();
    }
    /* Near the cap the filter may want more room than it fills in the end. */
    bool roomy = first != FILTER_FAILED && whole.len < CAP / 2;
    if (roomy && (first != second || whole.len != cut.len)) {
        abort();
    }
    if (roomy && cut.len && memcmp(whole.data, cut.data, cut.len) != 0) {
        abort();
    }
    buffer_free(&whole);
    buffer_free(&cut);
    return 0;
}
