#include "exec/mark.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEP_BITS = 32, RUNS = 1 << 30 };

void marks_init(struct marks *m, rlim_t own) {
    *m = (struct marks){.top = (uint64_t)RUNS << STEP_BITS, .step = UINT64_C(1) << STEP_BITS};
    if (own <= m->top) { /* somebody's mark, or the host's limit */
        *m = (struct marks){.top = own, .step = 1};
    }
}

uint32_t marks_next(struct marks *m) {
    if (m->top / m->step < RUNS) {
        return 0;
    }
    m->last = m->last + 1 < RUNS ? m->last + 1 : 1;
    return m->last;
}

rlim_t mark_limit(const struct marks *m, uint32_t run) {
    return (rlim_t)(m->top - run * m->step);
}

uint32_t mark_run(const struct marks *m, rlim_t limit) {
    uint64_t run = limit < m->top ? (m->top - limit) / m->step : 0;
    return run <= m->last ? (uint32_t)run : 0;
}

rlim_t mark_parse(const char *limits) {
    const char *line = strstr(limits, "\nMax realtime timeout");
    uint64_t hard = 0;
    return line && sscanf(line, "\nMax realtime timeout %*s %" SCNu64, &hard) == 1 ? (rlim_t)hard
                                                                                   : RLIM_INFINITY;
}

uint32_t mark_run_of(const struct marks *m, pid_t pid) {
    char path[32], text[4096];
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0) {
        close(fd);
    }
    return mark_run(m, mark_parse(text));
}
