/* /proc/meminfo. */
#ifndef AGENT_PROC_MEMORY_H
#define AGENT_PROC_MEMORY_H

#include "proc/scan.h"

/* In KiB. What the kernel does not tell is 0. */
struct proc_memory {
    uint64_t total;
    uint64_t free;
    uint64_t available; /* since 3.14 and its backports */
    uint64_t buffers;
    uint64_t cached;
    uint64_t swap_total;
    uint64_t swap_free;
    bool has_available;
};

/* false: MemTotal or MemFree is missing or not a number. */
bool proc_memory(const char *bytes, size_t n, struct proc_memory *memory);

#endif
