#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {"FATAL", "ERROR", "WARNING", "INFO", "DEBUG"};

void log_record(enum log_level level, const char *part, const char *message) {
    fprintf(stderr, "%s %s: %s\n", names[level], part, message);
}

void log_printf(enum log_level level, const char *part, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_record(level, part, line);
}
