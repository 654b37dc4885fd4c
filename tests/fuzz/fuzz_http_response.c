/* Whatever a server sends, and however it is cut, status and body are the same and bounded.
 * The first byte of the input says how to cut the rest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_progress run(struct http_response *r, const char *bytes, size_t size,
                              size_t slice) {
    enum http_progress progress = HTTP_MORE;
    http_response_init(r);
    for (size_t at = 0; at < size && progress == HTTP_MORE; at += slice) {
        size_t n = size - at < slice ? size - at : slice;
        char *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        progress = http_response_feed(r, copy, n);
        free(copy);
        if (progress == HTTP_COMPLETE && at + n < size) {
            progress = HTTP_MALFORMED; /* bytes behind it, which the whole run refuses */
        }
    }
    if (progress == HTTP_MORE) {
        progress = http_response_finish(r);
    }
    if (r->body.len > HTTP_RESPONSE_BODY_MAX) {
        abort();
    }
    return progress;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    struct http_response whole;
    struct http_response cut;
    const char *bytes = (const char *)data + 1;
    enum http_progress a = run(&whole, bytes, size - 1, size);
    enum http_progress b = run(&cut, bytes, size - 1, data[0] % 16 + 1u);
    if (a == HTTP_COMPLETE && b == HTTP_COMPLETE &&
        (whole.status != cut.status || whole.body.len != cut.body.len ||
         (cut.body.len && memcmp(whole.body.data, cut.body.data, cut.body.len) != 0))) {
        abort();
    }
    http_response_free(&whole);
    http_response_free(&cut);
    return 0;
}
