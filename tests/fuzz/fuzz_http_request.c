/* However a stream of requests is sliced, the same is read from it: first byte = size of the
 * slices. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    unsigned requests;
    size_t body_bytes;
    size_t path_bytes;
    int status;
};

static void check_spans(const struct http_request *p) {
    assert(p->path.at + p->path.len <= p->head.len && p->path.len > 0);
    for (int i = 0; i < p->header_count; i++) {
        assert(p->headers[i].name.at + p->headers[i].name.len <= p->head.len);
        assert(p->headers[i].value.at + p->headers[i].value.len <= p->head.len);
    }
    for (int i = 0; i < p->param_count; i++) {
        assert(p->params[i].name.at + p->params[i].name.len <= p->head.len);
        const char *value = p->head.data + p->params[i].value.at;
        assert(!memchr(value, 0, p->params[i].value.len));
    }
}

static struct outcome read_all(const char *bytes, size_t n, size_t slice) {
    struct outcome o = {0};
    struct http_request p;
    http_request_open(&p, 4096);
    for (size_t at = 0; at < n;) {
        size_t used = 0;
        size_t give = slice < n - at ? slice : n - at;
        enum http_event event = http_request_feed(&p, bytes + at, give, &used);
        assert(used <= give && p.body.len <= 4096);
        at += used;
        if (event == HTTP_EVENT_FAILED) {
            assert(p.status >= 400 && p.why);
            o.status = p.status;
            break;
        }
        if (event == HTTP_EVENT_DONE) {
            check_spans(&p);
            o.requests++;
            o.body_bytes += p.body.len;
            o.path_bytes += p.path.len;
            http_request_next(&p);
        } else {
            assert(used == give || event == HTTP_EVENT_HEAD);
        }
    }
    http_request_free(&p);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    size_t slice = (size_t)data[0] % 64 + 1;
    char *bytes = malloc(size - 1 ? size - 1 : 1); /* exact: the sanitizer sees a byte too far */
    memcpy(bytes, data + 1, size - 1);
    struct outcome whole = read_all(bytes, size - 1, size);
    struct outcome sliced = read_all(bytes, size - 1, slice);
    assert(whole.requests == sliced.requests && whole.status == sliced.status);
    assert(whole.body_bytes == sliced.body_bytes && whole.path_bytes == sliced.path_bytes);
    free(bytes);
    return 0;
}
