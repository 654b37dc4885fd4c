/* The raw entries of a directory, and which of them are processes. */
#ifndef AGENT_PROC_DIRECTORY_H
#define AGENT_PROC_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

enum { PROC_PID_DIGITS = 9 };

/* As getdents64(2) writes them, one after another, each d_reclen long. */
struct proc_entry {
    uint64_t d_ino;
    int64_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

/* Fills `bytes`, aligned as a proc_entry, with the next ones. Returns how many bytes they take, 0
 * at the end, or a negative errno. */
long proc_entries(int directory, char *bytes, size_t size);

/* The number that a name of /proc is; 0: it is no process. */
int proc_pid(const char *name);

#endif
