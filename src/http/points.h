/* Entries of POST /post straight into the bytes that the router reads (contracts.md §2), where that
 * is copying. Whatever needs more (escapes, other characters than ASCII, spaces in tags, empty tags
 * …) is left to agent.publish.points, which has all the rules; what is written here is what it
 * would write. */
#ifndef AGENT_HTTP_POINTS_H
#define AGENT_HTTP_POINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "http/metrics.h"
#include "util/buffer.h"

/* What entries don't say themselves; the caller's. */
struct points_defaults {
    struct metrics_text prefix; /* of names */
    struct metrics_text host;   /* as a JSON string, quotes included */
    struct metrics_text now;    /* unix seconds, as digits */
};

/* Appends the entry as a point. false: it isn't a plain one, or there is no room; nothing was
 * appended. */
bool points_put(struct buffer *out, const struct metrics_reader *r, const struct metrics_entry *e,
                const struct points_defaults *defaults);

#endif
