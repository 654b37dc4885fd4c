#include "proc/task.h"

#include <string.h>

#include "proc/process.h"

/* As proc(5) counts the fields of stat. */
enum { FIELD_AFTER_STATE = 4, UTIME = 14, STIME = 15, STARTTIME = 22, RSS = 24 };

bool proc_task_stat(const char *bytes, size_t n, struct proc_task *task) {
    task->state = proc_state(bytes, n);
    if (!task->state) {
        return false;
    }
    const char *close = memrchr(bytes, ')', n);
    struct scan s = scan_bytes(close + 3, (size_t)(bytes + n - (close + 3)));
    uint64_t values[RSS + 1] = {0};
    for (int field = FIELD_AFTER_STATE; field <= RSS; field++) {
        bool wanted = field == UTIME || field == STIME || field == STARTTIME || field == RSS;
        struct scan word; /* others may be negative */
        if (wanted ? !scan_u64(&s, &values[field]) : !scan_word(&s, &word)) {
            return false;
        }
    }
    task->start = values[STARTTIME];
    task->pages = values[RSS];
    return scan_left(&s) > 0 && !__builtin_add_overflow(values[UTIME], values[STIME], &task->ticks);
}

bool proc_task_io(const char *bytes, size_t n, uint64_t *read, uint64_t *written) {
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    bool has_read = false;
    bool has_written = false;
    while (scan_line(&s, &line)) {
        if (scan_text(&line, "read_bytes:")) {
            has_read = scan_u64(&line, read);
        } else if (scan_text(&line, "write_bytes:")) {
            has_written = scan_u64(&line, written);
        }
    }
    return has_read && has_written;
}
