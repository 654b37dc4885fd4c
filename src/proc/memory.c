#include "proc/memory.h"

#include <string.h>

struct field {
    const char *name;
    uint64_t *value;
};

/* The lines asked for come first and in this order on every kernel, so most lines are one compare.
 */
static size_t take_field(struct scan line, const struct field *fields, size_t count,
                         size_t expected) {
    for (size_t tried = 0; tried < count; tried++) {
        size_t i = (expected + tried) % count;
        struct scan rest = line;
        if (!scan_text(&rest, fields[i].name)) {
            continue;
        }
        struct scan unit;
        uint64_t value = 0;
        if (scan_u64(&rest, &value) && scan_word(&rest, &unit) && scan_text(&unit, "kB")) {
            *fields[i].value = value;
            return i;
        }
        return count;
    }
    return count;
}

bool proc_memory(const char *bytes, size_t n, struct proc_memory *memory) {
    enum { TOTAL, FREE, AVAILABLE, BUFFERS, CACHED, SWAP_TOTAL, SWAP_FREE, COUNT };
    *memory = (struct proc_memory){0};
    const struct field fields[COUNT] = {
        {"MemTotal:", &memory->total},         {"MemFree:", &memory->free},
        {"MemAvailable:", &memory->available}, {"Buffers:", &memory->buffers},
        {"Cached:", &memory->cached},          {"SwapTotal:", &memory->swap_total},
        {"SwapFree:", &memory->swap_free},
    };
    bool have[COUNT] = {false};
    size_t found = 0;
    size_t expected = 0;
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    while (found < COUNT && scan_line(&s, &line)) {
        size_t i = take_field(line, fields, COUNT, expected);
        if (i < COUNT && !have[i]) {
            have[i] = true;
            found++;
            expected = i + 1;
        }
    }
    memory->has_available = have[AVAILABLE];
    return have[TOTAL] && have[FREE];
}
