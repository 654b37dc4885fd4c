#include "exec/room.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "exec/family.h"
#include "exec/pen.h"

enum { FIRST_PAUSE_MS = 20, LONGEST_PAUSE_MS = 2000 };

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
    struct rlimit own = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_RTTIME, &own);
    marks_init(&room->marks, own.rlim_max);
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
        if (!m->forever && !m->killed && m->started < oldest) {
            oldest = m->started;
        }
    }
    return oldest;
}

static int find_strays(const struct exec_room *room, pid_t strays[STRAYS_MAX]) {
    int n = family_adopted(strays, STRAYS_MAX), found = 0;
    for (int i = 0; i < n; i++) {
        if (!is_member(room, strays[i])) {
            strays[found++] = strays[i];
        }
    }
    return found;
}

static size_t count_members(const struct exec_room *room) {
    size_t n = 0;
    for (const struct room_member *m = room->first; m; m = m->next) {
        n++;
    }
    return n;
}

/* To be freed; NULL: no memory. Who was killed spares nobody. */
static struct origin *list_origins(const struct exec_room *room, int *n) {
    struct origin *origins = calloc(count_members(room) + 1, sizeof *origins);
    *n = 0;
    for (const struct room_member *m = room->first; origins && m; m = m->next) {
        if (m->run && !(m->killed && m->pid)) {
            origins[(*n)++] = (struct origin){.run = m->run, .told = m->pid > 0};
        }
    }
    return origins;
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

static bool cull_strays(struct exec_room *room, const pid_t *strays, int n) {
    struct cull_order order = {
        .strays = strays,
        .nstrays = n,
        .marks = room->marks,
        .spare_from = oldest_origin(room),
    };
    struct origin *origins = list_origins(room, &order.norigins);
    order.origins = origins;
    bool ok = origins && cull_round(&room->cull, room->starter, &order, swept, room);
    free(origins);
    return ok;
}

static void sweep(struct exec_room *room, const pid_t *strays, int n) {
    room->culling = true;
    if (n == 0 || !cull_strays(room, strays, n)) {
        swept(room, &(struct cull_result){.left = n});
    }
}

static void sweep_again(uv_timer_t *timer) {
    struct exec_room *room = timer->data;
    pid_t strays[STRAYS_MAX];
    if (!room->culling) {
        sweep(room, strays, find_strays(room, strays));
    }
}

void room_sweep(struct exec_room *room, bool expected) {
    pid_t strays[STRAYS_MAX];
    if (expected) {
        room->calm = room->sweeps = 0;
        pause_sweeps(room);
    }
    int n = room->culling ? 0 : find_strays(room, strays); /* else it goes on by itself */
    if (n > 0) {
        sweep(room, strays, n);
    }
}

static void timer_closed(uv_handle_t *timer) {
    leave(timer->data);
}

void room_close(struct exec_room *room) {
    pid_t strays[STRAYS_MAX];
    struct origin none;
    cull_now(&(struct cull_order){
        .strays = strays,
        .nstrays = find_strays(room, strays),
        .origins = &none,
        .spare_from = UINT64_MAX,
    });
    free(room->scratch);
    room->scratch = NULL;
    pen_close_all(room);
    starter_close(room->starter);
    uv_close((uv_handle_t *)&room->sweep_timer, timer_closed);
}
