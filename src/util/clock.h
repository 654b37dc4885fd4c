/* The two clocks: schedules and deadlines use the monotonic one, timestamps the wall clock. */
#ifndef AGENT_UTIL_CLOCK_H
#define AGENT_UTIL_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_mono_ns(void);

/* CLOCK_REALTIME in nanoseconds since 1970. */
int64_t clock_wall_ns(void);

#endif
