/* Files below a directory, and nothing else: for what a client names. May hang on a dead mount: for
 * worker processes only. */
#ifndef AGENT_FS_BENEATH_H
#define AGENT_FS_BENEATH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fs_part {
    ssize_t len;   /* bytes read, 0 at and beyond the end */
    uint64_t size; /* of the file */
};

/* Reads up to `max` bytes from `offset` on of the regular file `path` (relative) below `root`. No
 * symbolic link on the way is followed, not even one that stays inside. 0 or errno: EXDEV and ELOOP
 * for a way out, EINVAL for what is no regular file, ENOSYS before Linux 5.6. */
int fs_read_beneath(const char *root, const char *path, uint64_t offset, char *bytes, size_t max,
                    struct fs_part *part);

#endif
