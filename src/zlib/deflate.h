/* Compression: a stream of raw DEFLATE in both directions, each send a sync flush, and whole gzip
 * texts. Knows no Lua. */
#ifndef AGENT_ZLIB_DEFLATE_H
#define AGENT_ZLIB_DEFLATE_H

#include <stdbool.h>

#include "net/filter.h"

/* level 1 (quick) to 9 (small). NULL: no memory. */
struct filter *deflate_filter(int level);

/* Appends the text as one gzip member. false: no memory, or over the cap. */
bool deflate_gzip(const char *text, size_t len, int level, struct buffer *out);

#endif
