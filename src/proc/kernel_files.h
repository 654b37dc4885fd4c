/* /proc/sys/fs/file-nr and file-max. */
#ifndef AGENT_PROC_KERNEL_FILES_H
#define AGENT_PROC_KERNEL_FILES_H

#include "proc/scan.h"

struct proc_files {
    uint64_t allocated;
    uint64_t max; /* the third word of file-nr, which is file-max */
};

/* false: not three numbers. */
bool proc_files(const char *bytes, size_t n, struct proc_files *files);

/* A file that holds one number, such as file-max. */
bool proc_number(const char *bytes, size_t n, uint64_t *value);

#endif
