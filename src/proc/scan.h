/* A cursor over bytes that the kernel wrote, and perhaps somebody else: every step is bounded. */
#ifndef AGENT_PROC_SCAN_H
#define AGENT_PROC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes from `at` up to, not including, `end`; borrowed. */
struct scan {
    const char *at;
    const char *end;
};

static inline struct scan scan_bytes(const char *bytes, size_t n) {
    return (struct scan){bytes, bytes + n};
}

static inline size_t scan_left(const struct scan *s) {
    return (size_t)(s->end - s->at);
}

/* Takes the next line, without its newline. false: none is left. A last line without a newline was
 * cut off by somebody, so its last number may be too: it does not count as a line. */
bool scan_line(struct scan *s, struct scan *line);

/* Takes the next word: what stands between blanks. false: none is left. */
bool scan_word(struct scan *line, struct scan *word);

/* Takes the next word if it is a decimal number that fits. false: it isn't; the cursor stays. */
bool scan_u64(struct scan *line, uint64_t *value);

/* Likewise for digits with an optional fraction, as in 0.07; at most 15 digits, so it is exact. */
bool scan_fraction(struct scan *line, double *value);

/* Takes `text` if the cursor stands before it. */
bool scan_text(struct scan *s, const char *text);

#endif
