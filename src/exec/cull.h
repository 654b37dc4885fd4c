/* Reaps dead orphans and ends living ones whose origin is gone, in a thread of the starter: who
 * breeds is hundreds, and /proc of hundreds takes longer than the loop has.
 *
 * Who is to end is stopped with his family first, round by round until nobody new turned up, and
 * then all are killed together. Under a limit of processes each one killed is a place for a new
 * one, each one stopped is a place taken. */
#ifndef AGENT_EXEC_CULL_H
#define AGENT_EXEC_CULL_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/family.h"
#include "exec/mark.h"
#include "exec/starter.h"

/* Between rounds; while one is on its way it belongs to that. Zeroed at first. */
struct cull {
    struct kin *kin; /* who is stopped; NULL: nobody */
    int n;
    int rounds;  /* since the last killing */
    bool killed; /* KILL was sent to all of kin */
};

/* A run that goes on. */
struct origin {
    uint32_t run;
    bool told; /* its own process is known, so is no stray */
};

/* All copied. */
struct cull_order {
    const pid_t *strays; /* children of ours that nobody else waits for */
    const struct origin *origins;
    int nstrays, norigins;
    struct marks marks;
    uint64_t spare_from; /* without a mark: family_stat.start of who may have a living origin */
};

enum { STRAYS_MAX = 1024 };

struct cull_result {
    int left;  /* who were there and not reaped */
    bool news; /* somebody was doomed for the first time */
};

/* done() is called on the loop when the round is over, unless the starter was closed. Does not
 * block, unless every thread of the starter hangs: then about 5 ms, and done() is called from here.
 * false: no memory. */
bool cull_round(struct cull *c, struct starter *starter, const struct cull_order *order,
                void (*done)(void *ctx, const struct cull_result *result), void *ctx);

/* The whole of it, here and now: blocks up to 100 ms. */
void cull_now(const struct cull_order *order);

/* Forgets whom it stopped. */
void cull_reset(struct cull *c);

#endif
