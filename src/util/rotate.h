/* Appends to a file that is rotated by size. Blocks: for a thread of its own. */
#ifndef AGENT_UTIL_ROTATE_H
#define AGENT_UTIL_ROTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rotate {
    char *path; /* owned; NULL: stderr */
    uint64_t size;
    unsigned count;
    int fd;        /* owned; -1: to be opened by the next write */
    bool mid_line; /* the last write ended inside a line */
};

/* Stderr, nothing to close. */
void rotate_init(struct rotate *r);

/* Fills r, which is not in use, with a copy of path. No rotation when size or count is 0.
 * false: no memory. */
bool rotate_set(struct rotate *r, const char *path, uint64_t size, unsigned count);

/* Takes over what `next` names; r's open file is kept when the path is the same. `next` is empty
 * after. */
void rotate_replace(struct rotate *r, struct rotate *next);

/* Closes and frees. */
void rotate_free(struct rotate *r);

/* Writes whole lines; rotates at line ends. Returns 0 or an errno; *written counts the bytes that
 * went out, up to the end of a line after an error. */
int rotate_write(struct rotate *r, const char *lines, size_t n, size_t *written);

#endif
