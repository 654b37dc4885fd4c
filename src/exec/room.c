#include "exec/room.h"

#include <stdlib.h>
#include <sys/prctl.h>

#include "exec/family.h"
#include "exec/pen.h"

enum { FIRST_PAUSE_MS = 20, LONGEST_PAUSE_MS = 2000, STRAYS_MAX = 1024 };

/* The kernel may leave out some of many children that come and go, even all: it is over when so
 * many sweeps in a row saw none. */
enum { CALM_SWEEPS = 3 };

static void sweep_again(uv_timer_t *timer);

static void leave(void *ctx) {
    struct exec_room *room = ctx;
    if (atomic_fetch_sub(&room->users, 1) == 1) {
        cull_reset(&room->cull);
        free(room);
    }
}

struct exec_room *room_open(uv_loop_t *loop) {
    struct exec_room *room = calloc(1, sizeof *room);
    if (!room) {
        return NULL;
    }
    room->loop = loop;
    atomic_init(&room->users, 2);
    room->starter = starter_open(loop, leave, room);
    if (!room->starter) {
        free(room);
        return NULL;
    }
    cgroup_tree_init(&room->cgroups);
    uv_timer_init(loop, &room->sweep_timer);
    room->sweep_timer.data = room;
    uv_unref((uv_handle_t *)&room->sweep_timer);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return room;
}

char *room_scratch(struct exec_room *room) {
    if (!room->scratch) {
        room->scratch = malloc(ROOM_SCRATCH);
    }
    return room->scratch;
}

void room_join(struct exec_room *room, struct room_member *member) {
    member->next = room->first;
    room->first = member;
}

void room_leave(struct exec_room *room, struct room_member *member) {
    for (struct room_member **at = &room->first; *at; at = &(*at)->next) {
        if (*at == member) {
            *at = member->next;
            break;
        }
    }
    if (!room->first) {
        free(room->scratch);
        room->scratch = NULL;
    }
}

static bool is_member(const struct exec_room *room, pid_t pid) {
    for (const struct room_member *m = room->first; m; m = m->next) {
        if (m->pid == pid) {
            return true;
        }
    }
    return false;
}

/* Who started before every child that is running and will end has lost his origin. */
static uint64_t oldest_origin(const struct exec_room *room) {
    uint64_t oldest = UINT64_MAX;
    for (const struct room_member *m = room->first; m; m = m->next) {
        if (!m->forever && m->started < oldest) {
            oldest = m->started;
        }
    }
    return oldest;
}

/* Children of ours that nobody else waits for. */
static struct cull_order find_strays(const struct exec_room *room, pid_t pids[STRAYS_MAX]) {
    int n = family_adopted(pids, STRAYS_MAX), strays = 0;
    for (int i = 0; i < n; i++) {
        if (!is_member(room, pids[i])) {
            pids[strays++] = pids[i];
        }
    }
    return (struct cull_order){.pids = pids, .n = strays, .spare_from = oldest_origin(room)};
}

static void pause_sweeps(struct exec_room *room) {
    unsigned shift = room->sweeps < 7 ? room->sweeps++ : 7;
    uint64_t pause = (uint64_t)FIRST_PAUSE_MS << shift;
    pause = pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
    uv_timer_start(&room->sweep_timer, sweep_again, pause, 0);
}

/* A round without a pause follows one that stopped or killed somebody. */
static void swept(void *ctx, const struct cull_result *result) {
    struct exec_room *room = ctx;
    room->culling = false;
    room->calm = result->left > 0 ? 0 : room->calm + 1;
    if (result->news) {
        room->sweeps = 0;
        uv_timer_start(&room->sweep_timer, sweep_again, 0, 0);
    } else if (room->calm < CALM_SWEEPS) {
        pause_sweeps(room);
    } else {
        room->sweeps = 0;
        cull_reset(&room->cull);
    }
}

static void sweep(struct exec_room *room, const struct cull_order *strays) {
    room->culling = true;
    if (strays->n == 0) {
        swept(room, &(struct cull_result){0});
    } else if (!cull_round(&room->cull, room->starter, strays, swept, room)) {
        swept(room, &(struct cull_result){.left = strays->n});
    }
}

static void sweep_again(uv_timer_t *timer) {
    struct exec_room *room = timer->data;
    pid_t pids[STRAYS_MAX];
    struct cull_order strays = find_strays(room, pids);
    if (!room->culling) {
        sweep(room, &strays);
    }
}

void room_sweep(struct exec_room *room, bool expected) {
    pid_t pids[STRAYS_MAX];
    if (expected) {
        room->calm = room->sweeps = 0;
        pause_sweeps(room);
    }
    if (room->culling) {
        return; /* it goes on by itself */
    }
    struct cull_order strays = find_strays(room, pids);
    if (strays.n > 0) {
        sweep(room, &strays);
    }
}

static void timer_closed(uv_handle_t *timer) {
    leave(timer->data);
}

void room_close(struct exec_room *room) {
    pid_t pids[STRAYS_MAX];
    struct cull_order strays = find_strays(room, pids);
    cull_now(&strays);
    free(room->scratch);
    room->scratch = NULL;
    pen_close_all(room);
    starter_close(room->starter);
    uv_close((uv_handle_t *)&room->sweep_timer, timer_closed);
}
