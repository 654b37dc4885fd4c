/* The head of a request: collected line by line, then checked. What is refused here in spite of a
 * tolerant library are the forms that two readers may understand differently (request smuggling).
 */
#include <string.h>
#include <strings.h>

#include "http/parser.h"

enum { BLANK_MAX = 8 };

static bool is_token(unsigned char c) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') {
        return true;
    }
    return (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool all_tokens(const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_token((unsigned char)bytes[i])) {
            return false;
        }
    }
    return n > 0;
}

static bool equals(const struct http_request *p, struct http_span s, const char *text) {
    return s.len == strlen(text) && strncasecmp(p->head.data + s.at, text, s.len) == 0;
}

/* METHOD SP TARGET SP HTTP/d.d, single spaces, visible ASCII only. 0 or the status to refuse with.
 */
static int check_request_line(struct http_request *p) {
    const char *line = p->head.data;
    const char *end = memchr(line, '\r', p->head.len);
    const char *target = memchr(line, ' ', (size_t)(end - line));
    if (!target || !all_tokens(line, (size_t)(target - line))) {
        return 400;
    }
    p->method = (struct http_span){0, (uint16_t)(target - line)};
    target++;
    const char *version = memchr(target, ' ', (size_t)(end - target));
    if (!version || version == target) {
        return 400;
    }
    for (const char *c = target; c < version; c++) {
        if (*c < 0x21 || *c > 0x7e) {
            return 400;
        }
    }
    version++;
    bool shaped = end - version == 8 && memcmp(version, "HTTP/", 5) == 0 && version[6] == '.' &&
                  version[5] >= '0' && version[5] <= '9' && version[7] >= '0' && version[7] <= '9';
    if (!shaped) {
        return 400;
    }
    return version[5] == '1' && version[7] <= '1' ? 0 : 505;
}

static void trim(const struct http_request *p, struct http_span *s) {
    const char *bytes = p->head.data;
    while (s->len && strchr(" \t", bytes[s->at + s->len - 1])) {
        s->len--;
    }
    while (s->len && strchr(" \t", bytes[s->at])) {
        s->at++;
        s->len--;
    }
}

static bool parse_length(const struct http_request *p, struct http_span s, uint64_t *length) {
    uint64_t n = 0;
    if (!s.len || s.len > 18) {
        return false;
    }
    for (uint16_t i = 0; i < s.len; i++) {
        char c = p->head.data[s.at + i];
        if (c < '0' || c > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(c - '0');
    }
    *length = n;
    return true;
}

struct seen {
    int host, length, coding, expect;
};

static const char *check_header(struct http_request *p, const struct http_pair *h,
                                struct seen *seen) {
    if (equals(p, h->name, "host")) {
        seen->host++;
    } else if (equals(p, h->name, "content-length")) {
        seen->length++;
        if (!parse_length(p, h->value, &p->length)) {
            return "bad Content-Length";
        }
    } else if (equals(p, h->name, "transfer-encoding")) {
        seen->coding++;
        if (!equals(p, h->value, "chunked")) {
            return "a Transfer-Encoding other than chunked";
        }
        p->chunked = true;
    } else if (equals(p, h->name, "expect")) {
        seen->expect++;
        p->expects_continue = equals(p, h->value, "100-continue");
    }
    return NULL;
}

static const char *check_headers(struct http_request *p, struct seen *seen) {
    for (int i = 0; i < p->header_count; i++) {
        struct http_pair *h = &p->headers[i];
        char *name = p->head.data + h->name.at;
        if (!all_tokens(name, h->name.len)) {
            return "bad header name";
        }
        trim(p, &h->value);
        const char *why = check_header(p, h, seen);
        if (why) {
            return why;
        }
        for (uint16_t k = 0; k < h->name.len; k++) {
            name[k] = (char)(name[k] >= 'A' && name[k] <= 'Z' ? name[k] | 0x20 : name[k]);
        }
    }
    if (seen->length > 1 || seen->coding > 1 || (seen->length && seen->coding)) {
        return "more than one length of the body";
    }
    if (seen->host > 1 || (!seen->host && p->minor == 1)) {
        return "HTTP/1.1 wants exactly one Host";
    }
    if (p->chunked && p->minor == 0) {
        return "HTTP/1.0 knows no Transfer-Encoding";
    }
    return NULL;
}

static enum http_event read_head(struct http_request *p) {
    int status = check_request_line(p);
    if (status) {
        return http_request_fail(
            p, status, status == 505 ? "only HTTP/1.0 and HTTP/1.1 here" : "bad request line");
    }
    status = http_library_read(p);
    if (status) {
        return http_request_fail(p, status,
                                 status == 431   ? "too many headers"
                                 : status == 501 ? "unknown method"
                                                 : "bad header");
    }
    struct seen seen = {0};
    const char *why = check_headers(p, &seen);
    if (why) {
        return http_request_fail(p, 400, why);
    }
    if (seen.expect && p->minor == 1 && !p->expects_continue) {
        return http_request_fail(p, 417, "unknown expectation");
    }
    p->expects_continue = p->expects_continue && p->minor == 1;
    p->param_count = http_url_split(p->head.data, p->target, &p->path, p->params, HTTP_PARAMS_MAX);
    if (p->param_count < 0) {
        p->param_count = 0;
        return http_request_fail(p, 400, "bad request target");
    }
    if (!p->chunked && p->length == 0) {
        p->phase = HTTP_PHASE_DONE;
        return HTTP_EVENT_DONE;
    }
    if (p->length > p->max_body) {
        return http_request_fail(p, 413, "body too large");
    }
    p->phase = p->chunked ? HTTP_PHASE_CHUNK_SIZE : HTTP_PHASE_LENGTH;
    p->left = p->length;
    buffer_init(&p->body, p->chunked ? p->max_body : (size_t)p->length);
    return HTTP_EVENT_HEAD;
}

/* One byte's place in its line; NULL or why it can't be there. */
static const char *check_byte(struct http_request *p, unsigned char c) {
    if (p->after_cr != (c == '\n')) {
        return "line end other than CR LF";
    }
    if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f) {
        return "control character in the head";
    }
    if (p->line == 0 && (c == ' ' || c == '\t')) {
        return "folded header or space before the request";
    }
    return NULL;
}

static enum http_event too_large(struct http_request *p, const char *bytes, size_t n) {
    bool in_target =
        !memchr(bytes, '\n', n) && !(p->head.len && memchr(p->head.data, '\n', p->head.len));
    return http_request_fail(p, in_target ? 414 : 431, "head too large");
}

static enum http_event collect(struct http_request *p, const char *bytes, size_t n, bool complete) {
    if (!buffer_append(&p->head, bytes, n)) {
        return http_request_fail(p, 503, "out of memory");
    }
    return complete ? read_head(p) : HTTP_EVENT_MORE;
}

enum http_event http_head_feed(struct http_request *p, const char *bytes, size_t n, size_t *used) {
    size_t from = 0; /* what is collected begins here */
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];
        if (p->head.len + (i - from) >= HTTP_HEAD_MAX) {
            return too_large(p, bytes + from, i - from);
        }
        const char *why = check_byte(p, (unsigned char)c);
        if (why) {
            return http_request_fail(p, 400, why);
        }
        p->after_cr = c == '\r';
        if (c != '\n') {
            p->line += c != '\r';
            continue;
        }
        bool empty = p->line == 0;
        p->line = 0;
        *used = i + 1;
        if (empty && p->head.len + (i - from) > 1) {
            return collect(p, bytes + from, i + 1 - from, true);
        }
        if (empty) { /* before the request: to be overlooked */
            p->head.len = 0;
            from = i + 1;
            if (++p->blank > BLANK_MAX) {
                return http_request_fail(p, 400, "nothing but empty lines");
            }
        }
    }
    *used = n;
    return collect(p, bytes + from, n - from, false);
}
