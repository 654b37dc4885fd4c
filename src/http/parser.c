#include "http/parser.h"

enum { OVERHEAD_MAX = 16 * 1024, CHUNK_DIGITS_MAX = 8 };

void http_request_open(struct http_request *p, size_t max_body) {
    p->max_body = max_body;
    buffer_init(&p->head, HTTP_HEAD_MAX);
    buffer_init(&p->body, 0);
    http_request_next(p);
}

void http_request_free(struct http_request *p) {
    buffer_free(&p->head);
    buffer_free(&p->body);
}

void http_request_next(struct http_request *p) {
    buffer_free(&p->body);
    if (p->head.cap > 1024) { /* an idle connection keeps little */
        buffer_free(&p->head);
    }
    p->head.len = 0;
    p->method = p->target = p->path = (struct http_span){0, 0};
    p->header_count = p->param_count = p->minor = 0;
    p->keep_alive = p->expects_continue = p->chunked = p->after_cr = false;
    p->length = p->left = 0;
    p->status = 0;
    p->why = NULL;
    p->phase = HTTP_PHASE_HEAD;
    p->overhead = p->digits = p->line = p->blank = 0;
}

bool http_request_begun(const struct http_request *p) {
    return p->phase != HTTP_PHASE_HEAD || p->head.len > 0;
}

enum http_event http_request_fail(struct http_request *p, int status, const char *why) {
    p->phase = HTTP_PHASE_FAILED;
    p->status = status;
    p->why = why;
    p->keep_alive = false;
    buffer_free(&p->body);
    return HTTP_EVENT_FAILED;
}

static enum http_event body_done(struct http_request *p) {
    p->phase = HTTP_PHASE_DONE;
    return HTTP_EVENT_DONE;
}

/* As much of the body or chunk as there is. */
static size_t take_data(struct http_request *p, const char *bytes, size_t n) {
    size_t take = n < p->left ? n : (size_t)p->left;
    if (!buffer_append(&p->body, bytes, take)) {
        bool over = take > p->body.max - p->body.len;
        http_request_fail(p, over ? 413 : 503, over ? "body too large" : "out of memory");
        return 0;
    }
    p->left -= take;
    return take;
}

static const char *size_byte(struct http_request *p, char c) {
    int digit = c >= '0' && c <= '9' ? c - '0' : -1;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        digit = (c | 0x20) - 'a' + 10;
    }
    if (digit >= 0) {
        p->left = p->left << 4 | (uint64_t)digit;
        return ++p->digits > CHUNK_DIGITS_MAX ? "chunk size too long" : NULL;
    }
    if (!p->digits || (c != '\r' && c != ';')) {
        return "bad chunk size";
    }
    p->phase = c == '\r' ? HTTP_PHASE_CHUNK_SIZE_LF : HTTP_PHASE_CHUNK_EXTENSION;
    return NULL;
}

/* Bytes of an extension or a trailer: read over, but bounded and without control characters. */
static const char *skipped_byte(struct http_request *p, char c, enum http_phase at_cr) {
    if (++p->overhead > OVERHEAD_MAX) {
        return "too much around the chunks";
    }
    if (c == '\r') {
        p->phase = at_cr;
        return NULL;
    }
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ? "control character in a chunk line"
                                                               : NULL;
}

static const char *line_feed(struct http_request *p, char c) {
    if (c != '\n') {
        return "line end other than CR LF";
    }
    switch (p->phase) {
    case HTTP_PHASE_CHUNK_SIZE_LF:
        p->phase = p->left ? HTTP_PHASE_CHUNK_DATA : HTTP_PHASE_TRAILER;
        p->line = 0;
        break;
    case HTTP_PHASE_CHUNK_LF:
        p->phase = HTTP_PHASE_CHUNK_SIZE;
        p->digits = 0;
        break;
    default: /* a trailer's: the empty one is the last */
        p->phase = p->line ? HTTP_PHASE_TRAILER : HTTP_PHASE_DONE;
        p->line = 0;
    }
    return NULL;
}

static const char *framing_byte(struct http_request *p, char c) {
    switch (p->phase) {
    case HTTP_PHASE_CHUNK_SIZE:
        return size_byte(p, c);
    case HTTP_PHASE_CHUNK_EXTENSION:
        return skipped_byte(p, c, HTTP_PHASE_CHUNK_SIZE_LF);
    case HTTP_PHASE_CHUNK_CR:
        p->phase = HTTP_PHASE_CHUNK_LF;
        return c == '\r' ? NULL : "chunk longer than its size";
    case HTTP_PHASE_TRAILER:
        p->line += c != '\r';
        return skipped_byte(p, c, HTTP_PHASE_TRAILER_LF);
    default:
        return line_feed(p, c);
    }
}

enum http_event http_body_feed(struct http_request *p, const char *bytes, size_t n, size_t *used) {
    size_t i = 0;
    while (i < n && p->phase != HTTP_PHASE_DONE && p->phase != HTTP_PHASE_FAILED) {
        if (p->phase == HTTP_PHASE_LENGTH || p->phase == HTTP_PHASE_CHUNK_DATA) {
            i += take_data(p, bytes + i, n - i);
            if (!p->left && p->phase != HTTP_PHASE_FAILED) {
                p->phase = p->phase == HTTP_PHASE_LENGTH ? HTTP_PHASE_DONE : HTTP_PHASE_CHUNK_CR;
            }
            continue;
        }
        const char *why = framing_byte(p, bytes[i++]);
        if (why) {
            http_request_fail(p, 400, why);
        } else if (p->phase == HTTP_PHASE_CHUNK_SIZE_LF && p->left > p->max_body - p->body.len) {
            http_request_fail(p, 413, "body too large");
        }
    }
    *used = i;
    if (p->phase == HTTP_PHASE_FAILED) {
        return HTTP_EVENT_FAILED;
    }
    return p->phase == HTTP_PHASE_DONE ? body_done(p) : HTTP_EVENT_MORE;
}

enum http_event http_request_feed(struct http_request *p, const char *bytes, size_t n,
                                  size_t *used) {
    *used = 0;
    switch (p->phase) {
    case HTTP_PHASE_HEAD:
        return n ? http_head_feed(p, bytes, n, used) : HTTP_EVENT_MORE;
    case HTTP_PHASE_DONE:
        return HTTP_EVENT_DONE;
    case HTTP_PHASE_FAILED:
        return HTTP_EVENT_FAILED;
    default:
        return http_body_feed(p, bytes, n, used);
    }
}
