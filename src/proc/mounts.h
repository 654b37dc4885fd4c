/* /proc/mounts. */
#ifndef AGENT_PROC_MOUNTS_H
#define AGENT_PROC_MOUNTS_H

#include "proc/scan.h"

/* The first four words of a line as they stand there; see proc_unescape(). */
struct proc_mount {
    struct scan source;
    struct scan mount;
    struct scan type;
    struct scan options;
};

/* Takes the next line that has them and whose mount point begins with a slash; others are passed
 * over. false: none is left. */
bool proc_mount_next(struct scan *s, struct proc_mount *mount);

/* Writes the bytes with \ooo (blank, tab, newline, backslash) decoded to `out`, which has room for
 * as many as go in. Returns how many it wrote. A backslash that begins no such escape stays. */
size_t proc_unescape(struct scan in, char *out);

#endif
