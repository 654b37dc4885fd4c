#include "http/url.h"

#include <string.h>
#include <strings.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long http_url_decode(char *bytes, size_t n, bool form) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(bytes[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(bytes[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -1;
            }
            c = (unsigned char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f) {
            return -1;
        }
        bytes[to++] = (char)c;
    }
    return (long)to;
}

static bool decode_span(char *head, struct http_span *span, bool form) {
    long n = http_url_decode(head + span->at, span->len, form);
    span->len = (uint16_t)(n < 0 ? 0 : n);
    return n >= 0;
}

/* The part of `span` before the first `mark`; `rest` becomes what follows it (empty without one).
 */
static struct http_span take_until(const char *head, struct http_span span, char mark,
                                   struct http_span *rest) {
    const char *found = memchr(head + span.at, mark, span.len);
    uint16_t len = found ? (uint16_t)(found - (head + span.at)) : span.len;
    uint16_t past = found ? (uint16_t)(len + 1) : len;
    *rest = (struct http_span){(uint16_t)(span.at + past), (uint16_t)(span.len - past)};
    return (struct http_span){span.at, len};
}

static int split_query(char *head, struct http_span query, struct http_pair *params, int max) {
    int count = 0;
    while (query.len) {
        struct http_span one = take_until(head, query, '&', &query);
        if (!one.len) {
            continue;
        }
        struct http_pair pair;
        pair.name = take_until(head, one, '=', &pair.value);
        if (count == max || !decode_span(head, &pair.name, true) ||
            !decode_span(head, &pair.value, true)) {
            return -1;
        }
        params[count++] = pair;
    }
    return count;
}

/* What follows the authority of http://authority/path; false where there is no authority. */
static bool skip_authority(const char *head, struct http_span *target) {
    static const char scheme[] = "http://";
    size_t skip = sizeof scheme - 1;
    if (target->len <= skip || strncasecmp(head + target->at, scheme, skip) != 0) {
        return false;
    }
    size_t from = skip;
    while (skip < target->len && !strchr("/?", head[target->at + skip])) {
        skip++;
    }
    target->at = (uint16_t)(target->at + skip);
    target->len = (uint16_t)(target->len - skip);
    return skip > from;
}

int http_url_split(char *head, struct http_span span, struct http_span *path,
                   struct http_pair *params, int max) {
    if (memchr(head + span.at, '#', span.len)) {
        return -1;
    }
    bool whole_server = span.len == 1 && head[span.at] == '*';
    if (span.len && head[span.at] != '/' && !whole_server && !skip_authority(head, &span)) {
        return -1;
    }
    struct http_span query;
    *path = take_until(head, span, '?', &query);
    if (!path->len || !decode_span(head, path, false)) {
        return -1;
    }
    return split_query(head, query, params, max);
}
