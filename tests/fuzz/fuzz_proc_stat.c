/* /proc/stat: a cpu line is never more idle than it is long, and every turn takes bytes. */
#include <stdlib.h>

#include "proc/cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scan s = scan_bytes((const char *)data, size);
    struct proc_cpu cpu;
    const char *before = s.at;
    while (proc_cpu_next(&s, &cpu)) {
        if (s.at <= before || cpu.idle > cpu.total || cpu.id < PROC_CPU_ALL ||
            cpu.id > PROC_CPU_MAX) {
            abort();
        }
        before = s.at;
    }
    return 0;
}
