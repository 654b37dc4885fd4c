#include "exec/room.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/family.h"
#include "exec/pen.h"
#include "util/clock.h"

enum { FIRST_PAUSE_MS = 20, LONGEST_PAUSE_MS = 2000, STRAYS_MAX = 512, BUSY_MS = 5 };

/* The kernel may leave out some of many children that come and go, even all: it is over when so
 * many sweeps in a row saw none. */
enum { CALM_SWEEPS = 3 };

static void sweep_again(uv_timer_t *timer);

static void leave(void *ctx) {
    struct exec_room *room = ctx;
    if (atomic_fetch_sub(&room->users, 1) == 1) {
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

static void timer_closed(uv_handle_t *timer) {
    leave(timer->data);
}

void room_close(struct exec_room *room) {
    free(room->scratch);
    room->scratch = NULL;
    pen_close_all(room);
    starter_close(room->starter);
    uv_close((uv_handle_t *)&room->sweep_timer, timer_closed);
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

static bool may_have_living_origin(const struct exec_room *room, const struct family_stat *st) {
    for (const struct room_member *m = room->first; m; m = m->next) {
        if (!m->forever && m->started <= st->start) {
            return true;
        }
    }
    return false;
}

/* true: it is an orphan and still there. */
static bool settle_orphan(const struct exec_room *room, pid_t pid) {
    struct family_stat st;
    if (is_member(room, pid) || !family_read_stat(pid, &st) || st.session == getsid(0)) {
        return false;
    }
    if (st.state == 'Z') {
        return waitpid(pid, NULL, WNOHANG) != pid;
    }
    if (getpid() != 1 && !may_have_living_origin(room, &st)) {
        family_signal(pid, SIGKILL);
    }
    return true;
}

/* How many are left. Stops when it took too long: a fork bomb leaves hundreds. */
static int sweep_some(const struct exec_room *room, bool *complete) {
    pid_t children[STRAYS_MAX];
    int n = family_adopted(children, STRAYS_MAX), left = 0;
    uint64_t began = clock_mono_ns();
    *complete = true;
    for (int i = 0; i < n; i++) {
        if (clock_mono_ns() - began > BUSY_MS * 1000000ULL) {
            *complete = false;
            return left + n - i;
        }
        left += settle_orphan(room, children[i]);
    }
    return left;
}

static void sweep(struct exec_room *room, bool again, bool expected) {
    bool complete = true;
    int left = sweep_some(room, &complete);
    if (left == 0 && !expected && !again) {
        return; /* the timer goes on, if it does */
    }
    room->calm = left > 0 || expected ? 0 : room->calm + 1;
    if (room->calm == CALM_SWEEPS) {
        room->sweeps = 0;
        return;
    }
    room->sweeps = expected ? 0 : room->sweeps;
    unsigned shift = room->sweeps < 7 ? room->sweeps++ : 7;
    uint64_t pause = (uint64_t)FIRST_PAUSE_MS << shift;
    pause = pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
    uv_timer_start(&room->sweep_timer, sweep_again, complete ? pause : BUSY_MS, 0);
}

static void sweep_again(uv_timer_t *timer) {
    sweep(timer->data, true, false);
}

void room_sweep(struct exec_room *room, bool expected) {
    sweep(room, false, expected);
}
