/* /proc/sys/fs/file-nr and file-max. */
#include "proc/kernel_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proc_files files;
    uint64_t value = 0;
    proc_files((const char *)data, size, &files);
    proc_number((const char *)data, size, &value);
    return 0;
}
