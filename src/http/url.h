/* Request targets: strict percent decoding and the parts of a target, all in place. */
#ifndef AGENT_HTTP_URL_H
#define AGENT_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes inside a head, which is never longer than 16 KiB. */
struct http_span {
    uint16_t at;
    uint16_t len;
};

struct http_pair {
    struct http_span name;
    struct http_span value;
};

/* Decodes %XX (and, with `form`, + as a space) in place. Returns the new length, or -1 for a bad
 * escape and for any control character, escaped or not: nothing of ours is named with one. */
long http_url_decode(char *bytes, size_t n, bool form);

/* Splits the target at `span` of `head` into its decoded path and query parameters (at most `max`,
 * in order, repeated names included). Takes /path?query, http://host/path?query and *.
 * Returns the number of parameters or -1; decoded in place, so only once for a head. */
int http_url_split(char *head, struct http_span span, struct http_span *path,
                   struct http_pair *params, int max);

#endif
