#include "zlib/deflate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    PIECE = 16 * 1024,
    RAW = -15,       /* no header, window of 32 KiB */
    GZIP = 15 + 16,  /* zlib's way to ask for a gzip header */
    MEMORY_LEVEL = 8 /* zlib's own default */
};

struct engine {
    struct filter filter;
    z_stream in;
    z_stream out;
};

static enum filter_state fail(struct engine *e, const char *why) {
    snprintf(e->filter.why, sizeof e->filter.why, "%s", why);
    return FILTER_FAILED;
}

/* zlib asks for memory it may write to, but only reads. */
static void give(z_stream *z, const char *bytes, size_t n) {
    z->next_in = (Bytef *)bytes;
    z->avail_in = (uInt)n;
}

static bool make_room(z_stream *z, struct buffer *b) {
    if (!buffer_reserve(b, PIECE)) {
        return false;
    }
    z->next_out = (Bytef *)b->data + b->len;
    z->avail_out = PIECE;
    return true;
}

static enum filter_state on_receive(struct filter *f, const char *bytes, size_t n,
                                    struct buffer *plain, struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    (void)wire;
    if (n > UINT_MAX) {
        return fail(e, "too much at once");
    }
    give(&e->in, bytes, n);
    do {
        if (!make_room(&e->in, plain)) {
            return fail(e, "what was received becomes more than there is room for");
        }
        int rc = inflate(&e->in, Z_SYNC_FLUSH);
        plain->len += PIECE - e->in.avail_out;
        if (rc == Z_STREAM_END) {
            return FILTER_ENDED;
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return fail(e, "not a DEFLATE stream");
        }
    } while (e->in.avail_out == 0 || e->in.avail_in);
    return FILTER_OPEN;
}

static bool squeeze(z_stream *z, int flush, struct buffer *out) {
    do {
        if (!make_room(z, out)) {
            return false;
        }
        deflate(z, flush);
        out->len += PIECE - z->avail_out;
    } while (z->avail_out == 0);
    return true;
}

static enum filter_state on_send(struct filter *f, const char *bytes, size_t n,
                                 struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    if (n == 0) {
        return FILTER_OPEN;
    }
    if (n > UINT_MAX) {
        return fail(e, "too much at once");
    }
    give(&e->out, bytes, n);
    return squeeze(&e->out, Z_SYNC_FLUSH, wire) ? FILTER_OPEN
                                                : fail(e, "more to be sent than there is room for");
}

static void on_finish(struct filter *f, struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    give(&e->out, NULL, 0);
    squeeze(&e->out, Z_FINISH, wire);
}

static void on_free(struct filter *f) {
    struct engine *e = (struct engine *)f;
    inflateEnd(&e->in);
    deflateEnd(&e->out);
    free(e);
}

static const struct filter_class class = {.code = "EDEFLATE",
                                          .receive = on_receive,
                                          .send = on_send,
                                          .finish = on_finish,
                                          .free = on_free};

struct filter *deflate_filter(int level) {
    struct engine *e = calloc(1, sizeof *e);
    if (!e) {
        return NULL;
    }
    e->filter.class = &class;
    if (inflateInit2(&e->in, RAW) != Z_OK ||
        deflateInit2(&e->out, level, Z_DEFLATED, RAW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        on_free(&e->filter);
        return NULL;
    }
    return &e->filter;
}

bool deflate_gzip(const char *text, size_t len, int level, struct buffer *out) {
    z_stream z = {0};
    if (len > UINT_MAX ||
        deflateInit2(&z, level, Z_DEFLATED, GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    give(&z, text, len);
    bool fine = squeeze(&z, Z_FINISH, out);
    deflateEnd(&z);
    return fine;
}
