/* /proc/stat and /proc/loadavg. */
#ifndef AGENT_PROC_CPU_H
#define AGENT_PROC_CPU_H

#include "proc/scan.h"

enum { PROC_CPU_ALL = -1, PROC_CPU_MAX = 65535 };

/* One `cpu` line, in ticks since boot. */
struct proc_cpu {
    int id; /* N of cpuN, PROC_CPU_ALL for the sum of all; ids have holes where a CPU is offline */
    uint64_t idle;
    uint64_t
        total; /* user nice system idle iowait irq softirq steal; guests are inside user and nice */
};

/* Takes the next well-formed cpu line of /proc/stat; others are passed over. false: none is left.
 */
bool proc_cpu_next(struct scan *s, struct proc_cpu *cpu);

/* The averages over 1, 5 and 15 minutes. */
bool proc_loadavg(const char *bytes, size_t n, double averages[3]);

#endif
