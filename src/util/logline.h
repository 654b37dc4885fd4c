/* One record → the bytes of its line, text (logfmt) or JSON. */
#ifndef AGENT_UTIL_LOGLINE_H
#define AGENT_UTIL_LOGLINE_H

#include "util/log.h"

enum { LOGLINE_MAX = 8192 };

/* Appends the line of the record behind its time, without a newline, to out[0..size). Returns the
 * length; what does not fit is cut at a character and marked with "…". Text and JSON lines hold no
 * control character and are valid UTF-8 whatever the record holds. */
size_t logline_body(enum log_format format, const struct log_record *record, char *out,
                    size_t size);

/* The beginning of a line, up to where logline_body() goes on: the local time of `wall_ns`. */
size_t logline_head(enum log_format format, int64_t wall_ns, char *out, size_t size);

#endif
