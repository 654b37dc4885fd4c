#include "proc/cpu.h"

enum {
    COLUMNS_OLDEST = 4, /* user nice system idle: Linux 2.4 */
    COLUMNS_COUNTED =
        8, /* up to steal; guest and guest_nice follow, counted in user and nice already */
    COLUMN_IDLE = 3,
};

static bool parse_cpu(struct scan line, struct proc_cpu *cpu) {
    if (!scan_text(&line, "cpu") || line.at == line.end) {
        return false;
    }
    cpu->id = PROC_CPU_ALL;
    uint64_t id = 0;
    if (*line.at != ' ') {
        if (!scan_u64(&line, &id) || id > PROC_CPU_MAX) {
            return false;
        }
        cpu->id = (int)id;
    }
    cpu->total = 0;
    int column = 0;
    for (uint64_t ticks = 0; column < COLUMNS_COUNTED && scan_u64(&line, &ticks); column++) {
        if (__builtin_add_overflow(cpu->total, ticks, &cpu->total)) {
            return false;
        }
        if (column == COLUMN_IDLE) {
            cpu->idle = ticks;
        }
    }
    struct scan word;
    return column == COLUMNS_COUNTED || (column >= COLUMNS_OLDEST && !scan_word(&line, &word));
}

bool proc_cpu_next(struct scan *s, struct proc_cpu *cpu) {
    struct scan line;
    while (scan_line(s, &line)) {
        if (parse_cpu(line, cpu)) {
            return true;
        }
    }
    return false;
}

bool proc_loadavg(const char *bytes, size_t n, double averages[3]) {
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    if (!scan_line(&s, &line)) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (!scan_fraction(&line, &averages[i])) {
            return false;
        }
    }
    return true;
}
