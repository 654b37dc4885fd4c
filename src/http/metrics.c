#include "http/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 32, EXACT_DIGITS = 15, LENIENT_TAGS_MAX = 256 };

void metrics_open(struct metrics_reader *r, const char *bytes, size_t len) {
    *r = (struct metrics_reader){.bytes = bytes, .len = len};
}

static bool bad(struct metrics_reader *r, const char *why) {
    if (!r->why) {
        r->why = why;
    }
    return false;
}

/* The next byte that isn't white space, 0 at the end. */
static char peek(struct metrics_reader *r) {
    while (r->at < r->len) {
        char c = r->bytes[r->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return c;
        }
        r->at++;
    }
    return 0;
}

static bool take(struct metrics_reader *r, char wanted) {
    if (peek(r) != wanted || r->at >= r->len) {
        return false;
    }
    r->at++;
    return true;
}

static bool take_word(struct metrics_reader *r, const char *word) {
    size_t n = strlen(word);
    if (r->len - r->at < n || memcmp(r->bytes + r->at, word, n) != 0) {
        return bad(r, "not a JSON value");
    }
    r->at += n;
    return true;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_escape(const char *bytes, size_t left) {
    if (left < 2) {
        return false;
    }
    if (bytes[1] != 'u') {
        return bytes[1] && strchr("\"\\/bfnrt", bytes[1]);
    }
    for (size_t i = 2; i < 6; i++) {
        if (i >= left || hex_value(bytes[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool read_string(struct metrics_reader *r, struct metrics_text *text) {
    if (!take(r, '"')) {
        return bad(r, "a string was expected");
    }
    *text = (struct metrics_text){.bytes = r->bytes + r->at};
    for (; r->at < r->len; r->at++) {
        unsigned char c = (unsigned char)r->bytes[r->at];
        if (c == '"') {
            text->len = (size_t)(r->bytes + r->at - text->bytes);
            r->at++;
            return true;
        }
        if (c < 0x20) {
            return bad(r, "control character in a string");
        }
        if (c == '\\') {
            if (!is_escape(r->bytes + r->at, r->len - r->at)) {
                return bad(r, "bad escape in a string");
            }
            text->escaped = true;
            r->at++;
        }
    }
    return bad(r, "the body ends inside a string");
}

static size_t digits(const struct metrics_reader *r, size_t from) {
    size_t at = from;
    while (at < r->len && r->bytes[at] >= '0' && r->bytes[at] <= '9') {
        at++;
    }
    return at - from;
}

struct number {
    const char *bytes;
    size_t whole;    /* digits before the point */
    size_t fraction; /* digits behind it */
    bool negative;
    bool integer; /* neither point nor exponent */
    bool exponent;
};

static bool scan_number(struct metrics_reader *r, struct number *n) {
    *n = (struct number){.bytes = r->bytes + r->at, .integer = true};
    size_t at = r->at;
    n->negative = r->bytes[at] == '-';
    at += n->negative;
    n->whole = digits(r, at);
    if (!n->whole || (n->whole > 1 && r->bytes[at] == '0')) {
        return bad(r, "bad number");
    }
    at += n->whole;
    if (at < r->len && r->bytes[at] == '.') {
        n->integer = false;
        n->fraction = digits(r, ++at);
        if (!n->fraction) {
            return bad(r, "bad number");
        }
        at += n->fraction;
    }
    if (at < r->len && (r->bytes[at] | 0x20) == 'e') {
        n->integer = false;
        n->exponent = true;
        at++;
        at += at < r->len && (r->bytes[at] == '+' || r->bytes[at] == '-');
        size_t some = digits(r, at);
        if (!some) {
            return bad(r, "bad number");
        }
        at += some;
    }
    r->at = at;
    return true;
}

/* Few digits and a small power of ten: one division of two exact numbers is correctly rounded
 * (Clinger 1990). Everything else is strtod's, which stops where the number ends. */
static double value_of(const struct number *n) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (n->exponent || n->whole + n->fraction > EXACT_DIGITS) {
        return strtod(n->bytes, NULL);
    }
    int64_t mantissa = 0;
    const char *c = n->bytes + n->negative;
    for (size_t i = 0; i < n->whole; i++) {
        mantissa = mantissa * 10 + (*c++ - '0');
    }
    c += n->fraction > 0;
    for (size_t i = 0; i < n->fraction; i++) {
        mantissa = mantissa * 10 + (*c++ - '0');
    }
    double value = (double)mantissa / powers[n->fraction];
    return n->negative ? -value : value;
}

static bool read_number(struct metrics_reader *r, double *value) {
    struct number n;
    if (!scan_number(r, &n)) {
        return false;
    }
    *value = value_of(&n);
    return isfinite(*value) || r->skipping || bad(r, "number out of range");
}

/* As the Go agent: an integer literal; 1.6e9, 1600000000.0 and "1600000000" are none. */
static bool read_timestamp(struct metrics_reader *r, struct metrics_entry *e) {
    char c = peek(r);
    e->has_timestamp = c != 'n';
    if (c == 'n') {
        return take_word(r, "null");
    }
    if (c != '-' && (c < '0' || c > '9')) {
        return bad(r, "timestamp must be an integer");
    }
    struct number n;
    if (!scan_number(r, &n)) {
        return false;
    }
    errno = 0;
    e->timestamp = strtoll(n.bytes, NULL, 10);
    return (n.integer && errno == 0) || bad(r, "timestamp must be an integer");
}

static bool read_value(struct metrics_reader *r, struct metrics_entry *e) {
    char c = peek(r);
    switch (c) {
    case '"':
        e->kind = METRICS_STRING;
        return read_string(r, &e->text);
    case 't':
    case 'f':
        e->kind = METRICS_BOOLEAN;
        e->boolean = c == 't';
        return take_word(r, e->boolean ? "true" : "false");
    case 'n':
        e->kind = METRICS_NULL;
        return take_word(r, "null");
    case '[':
    case '{':
        return bad(r, "value must be a number, a string or a boolean");
    default:
        e->kind = METRICS_NUMBER;
        return c == '-' || (c >= '0' && c <= '9') ? read_number(r, &e->number)
                                                  : bad(r, "a JSON value was expected");
    }
}

static bool skip_scalar(struct metrics_reader *r) {
    struct metrics_entry unused = {0};
    return read_value(r, &unused);
}

/* A value nobody asked for: checked and passed over, without recursion. */
static bool skip_value(struct metrics_reader *r) {
    char closing[DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        char c = peek(r);
        if (c == '[' || c == '{') {
            if (depth == DEPTH_MAX) {
                return bad(r, "nested too deeply");
            }
            closing[depth++] = c == '[' ? ']' : '}';
            r->at++;
            if (!take(r, closing[depth - 1])) {
                goto key;
            }
            depth--;
        } else if (!skip_scalar(r)) {
            return false;
        }
        while (depth && take(r, closing[depth - 1])) {
            depth--;
        }
        if (!depth) {
            return true;
        }
        if (!take(r, ',')) {
            return bad(r, "a comma was expected");
        }
    key:
        if (closing[depth - 1] == '}') {
            struct metrics_text unused;
            if (!read_string(r, &unused) || !(take(r, ':') || bad(r, "a colon was expected"))) {
                return false;
            }
        }
    }
}

static bool read_tag_value(struct metrics_reader *r, struct metrics_text *value) {
    if (peek(r) == 'n') {
        *value = (struct metrics_text){.bytes = r->bytes + r->at};
        return take_word(r, "null");
    }
    return peek(r) == '"' ? read_string(r, value) : bad(r, "a tag's value must be a string");
}

static bool read_tags(struct metrics_reader *r, struct metrics_entry *e) {
    e->tags = 0;
    if (peek(r) == 'n') {
        return take_word(r, "null");
    }
    if (!take(r, '{')) {
        return bad(r, "tags must be an object");
    }
    size_t from = r->at;
    if (take(r, '}')) {
        return true;
    }
    e->tags = from;
    do {
        struct metrics_text key;
        struct metrics_text value;
        if (!read_string(r, &key) || !(take(r, ':') || bad(r, "a colon was expected")) ||
            !read_tag_value(r, &value)) {
            return false;
        }
    } while (take(r, ','));
    return take(r, '}') || bad(r, "a comma or } was expected");
}

bool metrics_next_tag(const struct metrics_reader *r, size_t *at, struct metrics_text *key,
                      struct metrics_text *value) {
    struct metrics_reader walk = {.bytes = r->bytes, .len = r->len, .at = *at};
    if (!*at) {
        return false;
    }
    take(&walk, ',');
    bool found = peek(&walk) == '"' && read_string(&walk, key) && take(&walk, ':') &&
                 read_tag_value(&walk, value);
    *at = walk.at;
    return found;
}

static bool read_name(struct metrics_reader *r, struct metrics_text *name) {
    *name = (struct metrics_text){.bytes = r->bytes + r->at};
    if (peek(r) == 'n') {
        return take_word(r, "null");
    }
    return peek(r) == '"' ? read_string(r, name) : bad(r, "name must be a string");
}

static bool key_is(struct metrics_text key, const char *name) {
    return key.len == strlen(name) && strncasecmp(key.bytes, name, key.len) == 0;
}

static bool read_member(struct metrics_reader *r, struct metrics_entry *e) {
    struct metrics_text key;
    if (!read_string(r, &key) || !(take(r, ':') || bad(r, "a colon was expected"))) {
        return false;
    }
    if (key_is(key, "name")) {
        return read_name(r, &e->name);
    }
    if (key_is(key, "value")) {
        return read_value(r, e);
    }
    if (key_is(key, "tags")) {
        return read_tags(r, e);
    }
    return key_is(key, "timestamp") ? read_timestamp(r, e) : skip_value(r);
}

static bool read_entry(struct metrics_reader *r, struct metrics_entry *e) {
    *e = (struct metrics_entry){.name.bytes = r->bytes};
    if (!take(r, '{')) {
        return bad(r, "not an object");
    }
    if (!take(r, '}')) {
        do {
            if (!read_member(r, e)) {
                return false;
            }
        } while (take(r, ','));
        if (!take(r, '}')) {
            return bad(r, "a comma or } was expected");
        }
    }
    return (e->kind != METRICS_NONE && e->kind != METRICS_NULL) || bad(r, "without a value");
}

/* What is no error of the format, but would cost the point, or the loop's time, later on. */
static bool is_usable(struct metrics_reader *r, const struct metrics_entry *e) {
    struct metrics_text key;
    struct metrics_text value;
    size_t tags = 0;
    if (!e->name.len) {
        return bad(r, "without a name");
    }
    for (size_t at = e->tags; metrics_next_tag(r, &at, &key, &value);) {
        if (!key.len || !value.len) {
            return bad(r, "an empty tag");
        }
        if (++tags > LENIENT_TAGS_MAX) {
            return bad(r, "more than 256 tags");
        }
    }
    return true;
}

/* An entry, or what stands in its place: passed over where it is JSON. */
static enum metrics_event read_leniently(struct metrics_reader *r, struct metrics_entry *e) {
    size_t from = r->at;
    if (read_entry(r, e) && is_usable(r, e)) {
        return METRICS_ENTRY;
    }
    r->refused = r->why;
    r->why = NULL;
    r->at = from;
    r->skipping = true;
    bool skipped = skip_value(r);
    r->skipping = false;
    return skipped ? METRICS_REFUSED : METRICS_BAD;
}

/* Before the first entry: is there an array, and something in it? */
static enum metrics_event begin(struct metrics_reader *r) {
    if (peek(r) == 'n' && take_word(r, "null")) {
        return METRICS_END;
    }
    if (!take(r, '[')) {
        bad(r, r->at < r->len ? "not an array of metrics" : "empty body");
        return METRICS_BAD;
    }
    return take(r, ']') ? METRICS_END : METRICS_ENTRY;
}

enum metrics_event metrics_next(struct metrics_reader *r, struct metrics_entry *entry) {
    enum metrics_event event = METRICS_ENTRY;
    if (r->why || r->ended) {
        return r->why ? METRICS_BAD : METRICS_END;
    }
    if (r->at == 0) {
        event = begin(r);
    } else if (take(r, ']')) {
        event = METRICS_END;
    } else if (!take(r, ',')) {
        bad(r, "a comma or ] was expected");
        event = METRICS_BAD;
    }
    if (event == METRICS_END && r->lenient) {
        peek(r);
        event = r->at < r->len && !bad(r, "text behind the array") ? METRICS_BAD : event;
    }
    r->ended = event == METRICS_END;
    if (event != METRICS_ENTRY) {
        return event;
    }
    r->about_entry = true;
    if (r->lenient) {
        event = read_leniently(r, entry);
    } else if (!read_entry(r, entry)) {
        event = METRICS_BAD;
    }
    if (event != METRICS_BAD) {
        r->about_entry = false;
        r->index++;
    }
    return event;
}
