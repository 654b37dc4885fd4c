/* /proc/meminfo. */
#include "proc/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proc_memory memory;
    proc_memory((const char *)data, size, &memory);
    return 0;
}
