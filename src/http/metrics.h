/* The body of POST /post: a JSON array of metrics, read entry by entry, so that a large body can be
 * read over several turns of the loop. Strict about types; keys are matched without regard to case,
 * the last one of a repeated key counts, unknown keys are passed over, bytes behind the array too.
 *
 * Set `lenient` after metrics_open() for the output of plugins: an entry that can't be used is told
 * as METRICS_REFUSED and reading goes on, as long as it is JSON; bytes behind the array are an
 * error.
 */
#ifndef AGENT_HTTP_METRICS_H
#define AGENT_HTTP_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes between the quotes, still with their escapes. */
struct metrics_text {
    const char *bytes;
    size_t len;
    bool escaped;
};

enum metrics_kind { METRICS_NONE, METRICS_NULL, METRICS_BOOLEAN, METRICS_NUMBER, METRICS_STRING };

struct metrics_entry {
    struct metrics_text name; /* empty when missing */
    struct metrics_text text; /* of a METRICS_STRING */
    enum metrics_kind kind;
    double number;
    bool boolean;
    bool has_timestamp;
    int64_t timestamp;
    size_t tags; /* where in the body its tags begin, 0 without any: for metrics_next_tag() */
};

enum metrics_event { METRICS_ENTRY, METRICS_END, METRICS_BAD, METRICS_REFUSED };

struct metrics_reader {
    const char *bytes; /* the caller's; a NUL must follow the last one */
    size_t len;
    size_t at;
    size_t index;     /* of the entry that comes next, or of the bad one, from 0 */
    const char *why;  /* after METRICS_BAD: a constant sentence */
    bool about_entry; /* after METRICS_BAD: whether it is about the entry at `index` */
    bool ended;
    bool lenient;        /* the caller's to set */
    bool skipping;       /* a refused entry's values need only be JSON */
    const char *refused; /* after METRICS_REFUSED: why the entry at `index` - 1 can't be used */
};

void metrics_open(struct metrics_reader *r, const char *bytes, size_t len);

/* The next entry; after END or BAD always the same again. */
enum metrics_event metrics_next(struct metrics_reader *r, struct metrics_entry *entry);

/* Walks over the tags of an entry: `at` begins as entry->tags. false: no more. */
bool metrics_next_tag(const struct metrics_reader *r, size_t *at, struct metrics_text *key,
                      struct metrics_text *value);

/* Writes the text without escapes to `to`, which has room for text.len bytes. Returns the length.
 */
size_t metrics_unescape(struct metrics_text text, char *to);

/* Whether the name has only characters that a measurement may have: 0-9 a-z A-Z - _ .
 * The empty name is one, as it was for the Go agent. */
bool metrics_name_valid(const char *name, size_t len);

#endif
