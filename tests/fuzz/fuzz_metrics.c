/* Whatever is posted, or printed by a plugin: reading ends, stays inside the body, what was
 * accepted can be read out, and the point that is made of it is JSON. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/metrics.h"
#include "http/points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *body, size_t size, struct metrics_text text) {
    char *to = malloc(text.len ? text.len : 1); /* exact: the sanitizer sees a byte too far */
    assert(text.bytes >= body && text.bytes + text.len <= body + size);
    assert(metrics_unescape(text, to) <= text.len);
    free(to);
}

static struct metrics_text text_of(const char *bytes) {
    return (struct metrics_text){.bytes = bytes, .len = strlen(bytes)};
}

/* A value nobody asked for is checked by the reader. */
static void check_point(const struct metrics_reader *r, const struct metrics_entry *e) {
    static const char before[] = "[{\"value\":1,\"point\":";
    struct points_defaults defaults = {text_of("RUN."), text_of("\"h\""), text_of("1700000000")};
    struct metrics_reader again;
    struct metrics_entry found;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert(buffer_append(&out, before, sizeof before - 1));
    if (points_put(&out, r, e, &defaults)) {
        assert(buffer_append(&out, "}]", 3)); /* and the NUL */
        metrics_open(&again, out.data, out.len - 1);
        assert(metrics_next(&again, &found) == METRICS_ENTRY);
        assert(metrics_next(&again, &found) == METRICS_END && again.at == again.len);
    }
    assert(out.len >= sizeof before - 1);
    buffer_free(&out);
}

static void check_entry(const struct metrics_reader *r, const struct metrics_entry *e) {
    struct metrics_text key;
    struct metrics_text value;
    check_text(r->bytes, r->len, e->name);
    if (e->kind == METRICS_STRING) {
        check_text(r->bytes, r->len, e->text);
    }
    assert(e->kind != METRICS_NONE && e->kind != METRICS_NULL);
    assert(e->kind != METRICS_NUMBER || isfinite(e->number));
    for (size_t at = e->tags; metrics_next_tag(r, &at, &key, &value);) {
        check_text(r->bytes, r->len, key);
        check_text(r->bytes, r->len, value);
    }
    check_point(r, e);
}

static void read_strictly(const char *body, size_t size) {
    struct metrics_reader r;
    struct metrics_entry e;
    metrics_open(&r, body, size);
    enum metrics_event event;
    while ((event = metrics_next(&r, &e)) == METRICS_ENTRY) {
        check_entry(&r, &e);
    }
    assert((event == METRICS_BAD) == (r.why != NULL));
    assert(r.at <= size && metrics_next(&r, &e) == event);
}

static void read_leniently(const char *body, size_t size) {
    struct metrics_reader r;
    struct metrics_entry e;
    size_t entries = 0;
    metrics_open(&r, body, size);
    r.lenient = true;
    enum metrics_event event;
    while ((event = metrics_next(&r, &e)) == METRICS_ENTRY || event == METRICS_REFUSED) {
        entries++;
        assert(r.index == entries && !r.why && entries <= size);
        if (event == METRICS_ENTRY) {
            check_entry(&r, &e);
            assert(e.name.len);
        } else {
            assert(r.refused);
            check_text(body, size, e.name);
        }
    }
    assert((event == METRICS_BAD) == (r.why != NULL));
    assert(r.at <= size && (event == METRICS_BAD || r.at == size) && metrics_next(&r, &e) == event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *body = malloc(size + 1);
    memcpy(body, data, size);
    body[size] = 0;
    read_strictly(body, size);
    read_leniently(body, size);
    free(body);
    return 0;
}
