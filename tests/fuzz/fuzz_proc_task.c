/* /proc/PID/stat and /proc/PID/io: whole numbers behind any name, or nothing. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proc/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    struct proc_task task;
    if (proc_task_stat(bytes, size, &task)) {
        struct proc_task again;
        const char *close = memrchr(bytes, ')', size);
        if (!isalpha(task.state) || !close || !proc_task_stat(bytes, size, &again) ||
            memcmp(&task.ticks, &again.ticks, sizeof task.ticks) != 0) {
            abort();
        }
    }
    uint64_t read = 0;
    uint64_t written = 0;
    if (proc_task_io(bytes, size, &read, &written) && !memmem(bytes, size, "write_bytes:", 12)) {
        abort();
    }
    return 0;
}
