/* The frames found don't depend on how the bytes are cut, and none is larger than allowed.
 * The first byte of the input says how to cut the rest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nsq/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    uint64_t hash;
    unsigned frames;
    bool malformed;
};

static void mix(struct result *r, const struct nsq_frame *frame) {
    r->frames++;
    r->hash = r->hash * 31 + frame->type;
    r->hash = r->hash * 31 + frame->len;
    for (size_t i = 0; i < frame->len; i++) {
        r->hash = r->hash * 31 + (uint8_t)frame->data[i];
    }
}

static struct result decode(const char *bytes, size_t size, size_t slice) {
    struct nsq_decoder d;
    struct nsq_frame frame;
    struct result r = {0};
    nsq_decoder_init(&d);
    for (size_t at = 0; at < size && !r.malformed; at += slice) {
        size_t n = size - at < slice ? size - at : slice;
        char *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        const char *next = copy;
        enum nsq_next found;
        while ((found = nsq_decoder_next(&d, &next, &n, &frame)) == NSQ_FRAME) {
            if (frame.len > NSQ_FRAME_MAX) {
                abort();
            }
            mix(&r, &frame);
        }
        r.malformed = found == NSQ_MALFORMED;
        if (!r.malformed && n) {
            abort();
        }
        free(copy);
    }
    nsq_decoder_free(&d);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    struct result whole = decode(bytes, size - 1, size);
    struct result cut = decode(bytes, size - 1, data[0] % 16 + 1u);
    if (whole.hash != cut.hash || whole.frames != cut.frames || whole.malformed != cut.malformed) {
        abort();
    }
    nsq_topic_valid(bytes, size - 1);
    return 0;
}
