/* Records for the person on call: one line each, time, level, part, message. */
#ifndef AGENT_UTIL_LOG_H
#define AGENT_UTIL_LOG_H

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Writes one record. `part` names the room it comes from ("host", "exec", …). */
void log_record(enum log_level level, const char *part, const char *message);

/* The same with a printf format; longer messages are cut at 2 KiB. */
void log_printf(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
