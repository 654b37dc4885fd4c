#include "exec/frame.h"

#include <string.h>

void frame_init(struct frame_parser *p) {
    *p = (struct frame_parser){0};
    buffer_init(&p->body, FRAME_MAX);
}

void frame_free(struct frame_parser *p) {
    buffer_free(&p->body);
}

bool frame_between(const struct frame_parser *p) {
    return p->head_len == 0;
}

void frame_write_head(unsigned char head[FRAME_HEAD], uint32_t len) {
    head[0] = (unsigned char)(len >> 24);
    head[1] = (unsigned char)(len >> 16);
    head[2] = (unsigned char)(len >> 8);
    head[3] = (unsigned char)len;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t take_head(struct frame_parser *p, const char *data, size_t len) {
    size_t n = least(FRAME_HEAD - p->head_len, len);
    memcpy(p->head + p->head_len, data, n);
    p->head_len += n;
    if (p->head_len == FRAME_HEAD) {
        const unsigned char *h = p->head;
        p->need = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
    }
    return n;
}

static void next_frame(struct frame_parser *p) {
    p->head_len = 0;
    p->need = 0;
    buffer_free(&p->body);
}

/* A frame that lies whole in `data` is handed on without a copy. */
static enum frame_status take_body(struct frame_parser *p, const char *data, size_t len,
                                   size_t *taken, frame_handler handler, void *ctx) {
    bool whole = p->body.len == 0 && len >= p->need;
    *taken = least(p->need - p->body.len, len);
    if (!whole && !buffer_append(&p->body, data, *taken)) {
        return FRAME_NO_MEMORY;
    }
    if (!whole && p->body.len < p->need) {
        return FRAME_OK;
    }
    bool go_on = handler(ctx, whole ? data : p->body.data, p->need);
    next_frame(p);
    return go_on ? FRAME_OK : FRAME_STOPPED;
}

enum frame_status frame_feed(struct frame_parser *p, const char *data, size_t len,
                             frame_handler handler, void *ctx) {
    while (len > 0) {
        size_t taken = 0;
        if (p->head_len < FRAME_HEAD) {
            taken = take_head(p, data, len);
            data += taken;
            len -= taken;
            if (p->head_len < FRAME_HEAD) {
                return FRAME_OK;
            }
            if (p->need > FRAME_MAX) {
                return FRAME_TOO_BIG;
            }
        }
        enum frame_status status = take_body(p, data, len, &taken, handler, ctx);
        if (status != FRAME_OK) {
            return status;
        }
        data += taken;
        len -= taken;
    }
    return FRAME_OK;
}
