/* /proc/diskstats: a name of bounded length inside the input, whatever is decided about it. */
#include <stdlib.h>

#include "proc/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    struct scan s = scan_bytes(bytes, size);
    struct proc_disk disk;
    struct proc_disk_memory memory = {0};
    for (size_t position = 0; proc_disk_next(&s, &disk); position++) {
        if (disk.name < bytes || disk.name + disk.name_len > bytes + size || disk.name_len == 0 ||
            disk.name_len > PROC_DISK_NAME) {
            abort();
        }
        bool whole = proc_disk_whole(&memory, -1, position, &disk);
        if (whole != proc_disk_whole(&memory, -1, position, &disk)) {
            abort();
        }
        proc_disk_unconnected(&disk);
    }
    proc_disk_forget(&memory);
    return 0;
}
