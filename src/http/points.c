#include "http/points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 16, NUMBER_MAX = 32, SHAPE_MAX = 128 };

struct tag {
    struct metrics_text key;
    struct metrics_text value;
};

static const int64_t exact = INT64_C(1) << 53;

/* ASCII that is itself in JSON. */
static bool is_plain(struct metrics_text text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            return false;
        }
    }
    return !text.escaped;
}

static bool is_plain_tag(struct metrics_text text) {
    return text.len && is_plain(text) && !memchr(text.bytes, ' ', text.len);
}

static bool same(struct metrics_text a, struct metrics_text b) {
    return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

/* The entry's tags, whose bytes all together are *bytes. -1: not plain, too many, or one twice. */
static int collect(const struct metrics_reader *r, const struct metrics_entry *e, struct tag *tags,
                   size_t *bytes) {
    struct tag next;
    int n = 0;
    for (size_t at = e->tags; metrics_next_tag(r, &at, &next.key, &next.value); n++) {
        if (n == TAGS_MAX || !is_plain_tag(next.key) || !is_plain_tag(next.value)) {
            return -1;
        }
        for (int i = 0; i < n; i++) {
            if (same(tags[i].key, next.key)) {
                return -1;
            }
        }
        tags[n] = next;
        *bytes += next.key.len + next.value.len;
    }
    return n;
}

static char *put(char *to, const char *bytes, size_t n) {
    memcpy(to, bytes, n);
    return to + n;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_text(char *to, struct metrics_text text) {
    return put(to, text.bytes, text.len);
}

static char *put_integer(char *to, int64_t n) {
    char digits[NUMBER_MAX];
    size_t at = sizeof digits;
    uint64_t left = n < 0 ? (uint64_t)-n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (n < 0) {
        digits[--at] = '-';
    }
    return put(to, digits + at, sizeof digits - at);
}

/* Integers exact to 2^53, others by the shortest form that reads back equal. */
static char *put_number(char *to, double n) {
    if (n >= -(double)exact && n <= (double)exact && n == (double)(int64_t)n) {
        return put_integer(to, (int64_t)n);
    }
    int len = snprintf(to, NUMBER_MAX, "%.15g", n);
    if (strtod(to, NULL) != n) {
        len = snprintf(to, NUMBER_MAX, "%.17g", n);
    }
    return to + len;
}

static char *put_value(char *to, const struct metrics_entry *e) {
    if (e->kind == METRICS_NUMBER) {
        return put_number(to, e->number);
    }
    if (e->kind == METRICS_BOOLEAN) {
        return e->boolean ? PUT(to, "true") : PUT(to, "false");
    }
    to = PUT(to, "\"");
    to = put_text(to, e->text);
    return PUT(to, "\"");
}

/* The host first, which every point has. */
static char *put_tags(char *to, const struct tag *tags, int n, struct metrics_text host) {
    static const struct metrics_text name = {.bytes = "host", .len = 4};
    int given = 0;
    while (given < n && !same(tags[given].key, name)) {
        given++;
    }
    to = PUT(to, "\"host\":");
    if (given < n) {
        to = PUT(to, "\"");
        to = put_text(to, tags[given].value);
        to = PUT(to, "\"");
    } else {
        to = put_text(to, host);
    }
    for (int i = 0; i < n; i++) {
        if (i != given) {
            to = PUT(to, ",\"");
            to = put_text(to, tags[i].key);
            to = PUT(to, "\":\"");
            to = put_text(to, tags[i].value);
            to = PUT(to, "\"");
        }
    }
    return to;
}

bool points_put(struct buffer *out, const struct metrics_reader *r, const struct metrics_entry *e,
                const struct points_defaults *defaults) {
    struct tag tags[TAGS_MAX];
    size_t bytes = defaults->prefix.len + e->name.len + defaults->host.len + e->text.len;
    int n = collect(r, e, tags, &bytes);
    if (n < 0 || !is_plain(e->name) || (e->kind == METRICS_STRING && !is_plain(e->text)) ||
        !buffer_reserve(out,
                        bytes + SHAPE_MAX + 2 * NUMBER_MAX + (size_t)n * sizeof ",\"\":\"\"")) {
        return false;
    }
    char *to = out->data + out->len;
    to = PUT(to, "{\"measurement\":\"");
    to = put_text(to, defaults->prefix);
    to = put_text(to, e->name);
    to = PUT(to, "\",\"timestamp\":");
    bool dated = e->has_timestamp && e->timestamp >= 1000000000 && e->timestamp <= 10000000000;
    to = dated ? put_integer(to, e->timestamp) : put_text(to, defaults->now);
    to = PUT(to, ",\"tags\":{");
    to = put_tags(to, tags, n, defaults->host);
    to = PUT(to, "},\"fields\":{\"value\":");
    to = put_value(to, e);
    to = PUT(to, "}}");
    out->len = (size_t)(to - out->data);
    return true;
}
