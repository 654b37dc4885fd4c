#include "proc/memory.h"

enum { TOTAL, FREE, AVAILABLE, BUFFERS, CACHED, SWAP_TOTAL, SWAP_FREE, COUNT };

static const char *const names[COUNT] = {
    "MemTotal:", "MemFree:", "MemAvailable:", "Buffers:", "Cached:", "SwapTotal:", "SwapFree:"};

/* Which of the fields the line holds, COUNT for none. They come in this order on every kernel, so
 * the one `expected` is tried first. */
static size_t field_of(struct scan *line, size_t expected) {
    for (size_t tried = 0; tried < COUNT; tried++) {
        size_t i = (expected + tried) % COUNT;
        if (scan_text(line, names[i])) {
            return i;
        }
    }
    return COUNT;
}

static bool take_kib(struct scan *line, uint64_t *value) {
    struct scan unit;
    return scan_u64(line, value) && scan_word(line, &unit) && scan_text(&unit, "kB");
}

bool proc_memory(const char *bytes, size_t n, struct proc_memory *memory) {
    uint64_t values[COUNT] = {0};
    bool have[COUNT] = {false};
    size_t expected = 0;
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    for (size_t found = 0; found < COUNT && scan_line(&s, &line);) {
        size_t i = field_of(&line, expected);
        uint64_t value = 0;
        if (i < COUNT && !have[i] && take_kib(&line, &value)) {
            have[i] = true;
            values[i] = value;
            found++;
            expected = i + 1;
        }
    }
    *memory = (struct proc_memory){
        .total = values[TOTAL],
        .free = values[FREE],
        .available = values[AVAILABLE],
        .buffers = values[BUFFERS],
        .cached = values[CACHED],
        .swap_total = values[SWAP_TOTAL],
        .swap_free = values[SWAP_FREE],
        .has_available = have[AVAILABLE],
    };
    return have[TOTAL] && have[FREE];
}
