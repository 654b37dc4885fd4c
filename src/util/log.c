#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/logfile.h"
#include "util/logline.h"

enum { WAITING_MAX = 256 * 1024, HEAD_MAX = 64 };

static const uint64_t fold_ns = 10000000000;

/* One log a process: every room writes to it, also those that know no one. */
static struct {
    enum log_level level;
    enum log_format format;
    struct logfile *file; /* NULL: stderr, at once */
    uv_timer_t *timer;    /* tells of folded records when nothing else does */
    char *last;           /* the last record's body */
    size_t last_len;
    enum log_level last_level;
    char last_part[64];
    size_t last_part_len;
    uint64_t repeats;
    uint64_t folding_since;
    uint64_t lost_on_stderr;
} the = {.level = LOG_INFO};

bool log_enabled(enum log_level level) {
    return level <= the.level;
}

static void emit(const char *body, size_t n) {
    char line[HEAD_MAX + LOGLINE_MAX + 1];
    size_t len = logline_head(the.format, clock_wall_ns(), line, HEAD_MAX);
    memcpy(line + len, body, n);
    len += n;
    line[len++] = '\n';
    if (the.file) {
        logfile_append(the.file, line, len);
    } else if (write(STDERR_FILENO, line, len) < 0) {
        the.lost_on_stderr++;
    }
}

static void tell_repeats(void) {
    if (!the.repeats) {
        return;
    }
    char message[64];
    int n = snprintf(message, sizeof message, "last message repeated %llu times",
                     (unsigned long long)the.repeats);
    struct log_record record = {.level = the.last_level,
                                .part = {the.last_part, the.last_part_len},
                                .message = {message, (size_t)n}};
    char body[1024];
    the.repeats = 0;
    size_t len = logline_body(the.format, &record, body, sizeof body);
    emit(body, len);
}

static bool folded(const char *body, size_t n) {
    if (!the.last || n != the.last_len || memcmp(body, the.last, n) != 0) {
        return false;
    }
    uint64_t now = clock_mono_ns();
    if (the.repeats == 0) {
        the.folding_since = now;
    }
    the.repeats++;
    if (now - the.folding_since >= fold_ns) {
        tell_repeats();
    }
    return true;
}

static void remember(const struct log_record *record, const char *body, size_t n) {
    char *copy = realloc(the.last, n ? n : 1);
    if (!copy) {
        the.last_len = SIZE_MAX;
        return;
    }
    memcpy(copy, body, n);
    the.last = copy;
    the.last_len = n;
    the.last_level = record->level;
    the.last_part_len =
        record->part.len < sizeof the.last_part ? record->part.len : sizeof the.last_part;
    memcpy(the.last_part, record->part.bytes, the.last_part_len);
}

void log_write(const struct log_record *record) {
    if (!log_enabled(record->level)) {
        return;
    }
    char body[LOGLINE_MAX];
    size_t n = logline_body(the.format, record, body, sizeof body);
    if (folded(body, n)) {
        return;
    }
    tell_repeats();
    remember(record, body, n);
    emit(body, n);
}

void log_record(enum log_level level, const char *part, const char *message) {
    log_write(&(struct log_record){
        .level = level, .part = {part, strlen(part)}, .message = {message, strlen(message)}});
}

void log_printf(enum log_level level, const char *part, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_record(level, part, line);
}

static void on_lost(void *arg, uint64_t lines, int why) {
    (void)arg;
    log_printf(LOG_WARNING, "log", "%llu lines lost: %s", (unsigned long long)lines, strerror(why));
}

static void on_timer(uv_timer_t *timer) {
    (void)timer;
    if (the.repeats && clock_mono_ns() - the.folding_since >= fold_ns) {
        tell_repeats();
    }
}

static int start_timer(uv_loop_t *loop) {
    if (the.timer) {
        return 0;
    }
    the.timer = malloc(sizeof *the.timer);
    if (!the.timer) {
        return UV_ENOMEM;
    }
    uv_timer_init(loop, the.timer);
    uv_unref((uv_handle_t *)the.timer);
    return uv_timer_start(the.timer, on_timer, fold_ns / 1000000, fold_ns / 1000000);
}

int log_setup(uv_loop_t *loop, const struct log_options *options) {
    struct logfile_options file = {.path = options->path,
                                   .rotate_size = options->rotate_size,
                                   .rotate_count = options->rotate_count,
                                   .buffer_max = WAITING_MAX,
                                   .on_lost = on_lost};
    tell_repeats();
    if (the.file) {
        if (!logfile_configure(the.file, &file)) {
            return UV_ENOMEM;
        }
    } else if (!(the.file = logfile_new(loop, &file))) {
        return UV_ENOMEM;
    }
    the.level = options->level;
    the.format = options->format;
    return start_timer(loop);
}

bool log_flush(void (*done)(void *arg), void *arg) {
    tell_repeats();
    return the.file && logfile_flush(the.file, done, arg);
}

static void free_timer(uv_handle_t *timer) {
    free(timer);
}

void log_close(unsigned deadline_ms) {
    tell_repeats();
    if (the.file) {
        logfile_drain(the.file, deadline_ms);
        logfile_close(the.file);
        the.file = NULL;
    }
    if (the.timer) {
        uv_close((uv_handle_t *)the.timer, free_timer);
        the.timer = NULL;
    }
    free(the.last);
    the.last = NULL;
}

uint64_t log_lost(void) {
    return the.lost_on_stderr + (the.file ? logfile_lost(the.file) : 0);
}
