/* What the files of one process say. */
#ifndef AGENT_PROC_TASK_H
#define AGENT_PROC_TASK_H

#include "proc/scan.h"

struct proc_task {
    char state;
    uint64_t ticks; /* of CPU, user and system, all its threads */
    uint64_t start; /* ticks after boot; with the number it names a process for good */
    uint64_t pages; /* resident */
};

/* Parses /proc/PID/stat. The name of the process in it may hold blanks, parentheses and newlines.
 */
bool proc_task_stat(const char *bytes, size_t n, struct proc_task *task);

/* The bytes that reached or came from storage, of /proc/PID/io. */
bool proc_task_io(const char *bytes, size_t n, uint64_t *read, uint64_t *written);

#endif
