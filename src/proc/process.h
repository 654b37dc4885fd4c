/* Every process of the host, counted by state. */
#ifndef AGENT_PROC_PROCESS_H
#define AGENT_PROC_PROCESS_H

#include "proc/scan.h"

/* The state letter of /proc/PID/stat (R S D Z T …); 0 where the bytes are no such line. The name
 * before it may hold blanks and parentheses. */
char proc_state(const char *bytes, size_t n);

struct proc_counts {
    unsigned total; /* processes, not threads; kernel threads too */
    unsigned running;
    unsigned zombies;
};

/* Descriptors of PID/stat that stay open: a third of the system calls and half the time of opening
 * each anew, for a page of kernel memory each. Processes beyond this number are opened and closed.
 */
enum { PROC_WALK_KEPT = 256 };

struct proc_kept {
    int pid;
    int fd;
};

/* Zeroed before its first use, but for keep. */
struct proc_walk {
    struct proc_kept kept[2][PROC_WALK_KEPT]; /* of the last walk and of the one before, by turns */
    bool keep; /* set where the root is a procfs: there a descriptor always reads the present state
                */
    size_t count;
    int turn; /* which of the two the last walk filled, in the order of the directory */
};

/* Counts the processes below `root`, an open directory descriptor whose position is moved. A
 * process that ends while we look is not counted. Returns 0 or a negative errno, and has closed
 * what stayed open then. */
int proc_count(struct proc_walk *walk, int root, struct proc_counts *counts);

/* Closes what stayed open. */
void proc_walk_close(struct proc_walk *walk);

#endif
