/* Ends a process that does not come back from foreign code: not from a loop in C, a pattern that
 * backtracks, a call that blocks. A signal of the kernel's timer notices; nobody else has to be
 * awake, and entering costs no system call. */
#ifndef AGENT_GUARD_H
#define AGENT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum { GUARD_STATUS = 75 }; /* what the process then ends with */

/* Once, in the thread that is to be guarded. What takes longer than `bound_ms` between enter and
 * leave ends the process, after one line on stderr: "guard: ID: why". So does a deadly signal
 * meanwhile. false: the kernel gave no timer. */
bool guard_start(uint32_t bound_ms);

/* From here on the thread is at `id`, which is not 0. */
void guard_enter(uint32_t id);

void guard_leave(void);

#endif
