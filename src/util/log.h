/* Records for the person on call: one line each, time, level, part, message, key=value. Only the
 * loop's thread writes records. Until log_setup() they go to stderr at once; afterwards through a
 * logfile, off the loop. A record equal to the last one is counted instead of written. */
#ifndef AGENT_UTIL_LOG_H
#define AGENT_UTIL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_text {
    const char *bytes;
    size_t len;
};

struct log_field {
    struct log_text key;
    struct log_text value;
    bool number; /* the value is a JSON number or true or false: written without quotes */
};

struct log_record {
    enum log_level level;
    struct log_text part, message;
    const struct log_field *fields;
    size_t count;
};

/* Writes one record. `part` names the room it comes from ("host", "exec", …). */
void log_record(enum log_level level, const char *part, const char *message);

/* The same with a printf format; longer messages are cut at 2 KiB. */
void log_printf(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with fields. Bytes are copied; lines over 8 KiB are cut. */
void log_write(const struct log_record *record);

/* Whether a record of this level would be written. */
bool log_enabled(enum log_level level);

struct log_options {
    enum log_level level;
    enum log_format format;
    const char *path; /* NULL: stderr */
    uint64_t rotate_size;
    unsigned rotate_count;
};

/* From here on records go through `loop` to the file, which is opened by the first record. May be
 * called again with other options. 0 or a negative uv error code. */
int log_setup(uv_loop_t *loop, const struct log_options *options);

/* Calls done(arg) from the loop when all records so far were written or given up.
 * false: there is nothing to wait for, or no memory; done is not called. */
bool log_flush(void (*done)(void *arg), void *arg);

/* Blocks until all is written, at most so long, and goes back to stderr. For the end of the
 * process. */
void log_close(unsigned deadline_ms);

/* Lines that could not be written since the start. */
uint64_t log_lost(void);

#endif
