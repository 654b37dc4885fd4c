/* Bounded reads of small files below a directory; on /proc with descriptors that stay open. */
#ifndef AGENT_PROC_FILE_H
#define AGENT_PROC_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buffer.h"

struct proc_file {
    const char *path; /* relative to the root */
    bool one_record;  /* the kernel makes the whole content in one piece: a short read is the end */
    int fd;           /* -1: not open */
};

/* Reads all of the file into `into` (from its beginning; what was there is lost). The descriptor
 * stays open where the file is the kernel's own, since reading it again always gives the present
 * content; a failed read opens the file anew once. Returns 0 or a negative errno; -EFBIG beyond the
 * buffer's cap. */
int proc_file_read(struct proc_file *file, int root, struct buffer *into);

void proc_file_close(struct proc_file *file);

/* Reads at most `size` bytes of the file at `path` and closes it. Returns how many, or a negative
 * errno. */
int proc_read_once(int root, const char *path, char *bytes, size_t size);

/* Whether a descriptor belongs to the kernel's own procfs: what is read again is always present. */
bool proc_is_procfs(int fd);

#endif
