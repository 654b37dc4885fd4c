/* Frames on a byte stream: u32 big endian length, then so many bytes. Knows no sockets. */
#ifndef AGENT_EXEC_FRAME_H
#define AGENT_EXEC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum { FRAME_HEAD = 4, FRAME_MAX = 8 * 1024 * 1024 };

struct frame_parser {
    unsigned char head[FRAME_HEAD];
    size_t head_len;
    size_t need; /* length of the frame that is being read, once its head is complete */
    struct buffer
        body; /* what of it has come; grows as bytes arrive, never by what a head claims */
};

/* Gets each whole frame; the bytes are only good during the call. false: stop parsing. */
typedef bool (*frame_handler)(void *ctx, const char *bytes, size_t len);

enum frame_status { FRAME_OK, FRAME_TOO_BIG, FRAME_NO_MEMORY, FRAME_STOPPED };

void frame_init(struct frame_parser *p);
void frame_free(struct frame_parser *p);

/* Takes any slice of the stream. After anything but FRAME_OK the parser must not be fed again. */
enum frame_status frame_feed(struct frame_parser *p, const char *data, size_t len,
                             frame_handler handler, void *ctx);

/* true: the stream may end here, no frame is half read. */
bool frame_between(const struct frame_parser *p);

void frame_write_head(unsigned char head[FRAME_HEAD], uint32_t len);

#endif
