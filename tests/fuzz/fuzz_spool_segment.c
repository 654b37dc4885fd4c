/* Whatever is in a file: every text of a record lies inside it, what was read writes back to the
 * same bytes, and after the end or a tear nothing comes any more. The first byte is cut off and
 * says whether the checksums are put right before, so that the rest of the format is reached, too.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spool/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *bytes, size_t len, struct segment_text text) {
    assert(text.bytes >= bytes && text.len <= len);
    assert(text.bytes + text.len <= bytes + len);
}

/* Sets the checksums of records as far as their lengths lead. */
static void put_right(char *bytes, size_t len) {
    size_t at = SEGMENT_HEAD;
    while (at + 12 <= len) {
        const unsigned char *p = (const unsigned char *)bytes + at;
        size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
        if (n > len - at - 8) {
            return;
        }
        segment_seal(bytes + at, 8 + n);
        at += 8 + n;
    }
}

static void read_all(const char *bytes, size_t len) {
    struct segment_record record;
    enum segment_event event;
    size_t at = SEGMENT_HEAD;
    struct buffer again;
    buffer_init(&again, SEGMENT_MAX);
    while ((event = segment_next(bytes, len, &at, &record)) == SEGMENT_RECORD) {
        assert(at <= len);
        inside(bytes, len, record.topic);
        inside(bytes, len, record.head);
        inside(bytes, len, record.body);
        assert(segment_add(&again, &record));
    }
    segment_seal(again.data, again.len);
    assert(again.len == at - SEGMENT_HEAD);
    assert(again.len == 0 || memcmp(again.data, bytes + SEGMENT_HEAD, again.len) == 0);
    size_t before = at;
    assert(segment_next(bytes, len, &at, &record) == event && at == before);
    assert(event != SEGMENT_END || at == len);
    buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    size_t len = size - 1;
    char *file = malloc(len ? len : 1); /* exactly so long: reading beyond it is seen */
    memcpy(file, data + 1, len);
    if (data[0] & 1) {
        put_right(file, len);
    }
    segment_check(file, len);
    if (len >= SEGMENT_HEAD) {
        read_all(file, len);
    }
    free(file);
    return 0;
}
