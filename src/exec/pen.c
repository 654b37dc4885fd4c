#include "exec/pen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/room.h"

enum { LOOK_MS = 60 * 1000, IDLE_MS = 3600 * 1000 };

struct pen_job {
    struct job job;
    struct exec_room *room; /* the loop's */
    struct pen *pen;        /* the loop's; cannot go while this job uses it */
    const struct cgroup_tree *tree;
    bool kill, remove;
    char name[CGROUP_NAME];
};

static void unlink_pen(struct exec_room *room, struct pen *pen) {
    for (struct pen **at = &room->pens; *at; at = &(*at)->next) {
        if (*at == pen) {
            *at = pen->next;
            free(pen);
            return;
        }
    }
}

static void work(struct job *job) {
    struct pen_job *p = (struct pen_job *)job;
    if (p->kill) {
        cgroup_kill(p->tree, p->name);
    }
    if (p->remove) {
        cgroup_remove(p->tree, p->name);
    }
}

static void done(struct job *job) {
    struct pen_job *p = (struct pen_job *)job;
    p->pen->users--;
    p->pen->idle_since = uv_now(p->room->loop);
    if (p->remove) {
        unlink_pen(p->room, p->pen);
    }
    free(p);
}

static void drop(struct job *job) {
    free(job);
}

static void submit(struct exec_room *room, struct pen *pen, bool kill, bool remove) {
    struct pen_job *p = calloc(1, sizeof *p);
    if (!p) {
        return;
    }
    *p = (struct pen_job){
        .job = {.work = work, .done = done, .drop = drop},
        .room = room,
        .pen = pen,
        .tree = &room->cgroups,
        .kill = kill,
        .remove = remove,
    };
    snprintf(p->name, sizeof p->name, "%s", pen->name);
    pen->users++;
    if (starter_submit(room->starter, &p->job) != 0) { /* all threads hang: then here */
        work(&p->job);
        done(&p->job);
    }
}

static bool is_for(const struct pen *pen, const char *name) {
    size_t len = strlen(name);
    return strncmp(pen->name, name, len) == 0 && pen->name[len] == '~';
}

static void remove_idle(struct exec_room *room) {
    uint64_t now = uv_now(room->loop);
    if (now - room->pens_looked < LOOK_MS) {
        return;
    }
    room->pens_looked = now;
    for (struct pen *pen = room->pens, *next; pen; pen = next) {
        next = pen->next;
        if (pen->users == 0 && now - pen->idle_since > IDLE_MS) {
            submit(room, pen, false, true);
        }
    }
}

struct pen *pen_take(struct exec_room *room, const char *name) {
    unsigned number = 1;
    if (atomic_load(&room->cgroups.tried) && !room->cgroups.dir[0]) {
        return NULL;
    }
    remove_idle(room);
    for (struct pen *pen = room->pens; pen; pen = pen->next) {
        if (is_for(pen, name)) {
            if (pen->users == 0) {
                pen->users = 1;
                return pen;
            }
            unsigned taken = (unsigned)strtoul(strrchr(pen->name, '~') + 1, NULL, 10);
            number = taken >= number ? taken + 1 : number;
        }
    }
    struct pen *pen = calloc(1, sizeof *pen);
    if (pen) {
        snprintf(pen->name, sizeof pen->name, "%.*s~%u", CGROUP_NAME - 16, name, number);
        pen->users = 1;
        pen->next = room->pens;
        room->pens = pen;
    }
    return pen;
}

void pen_kill(struct exec_room *room, struct pen *pen) {
    submit(room, pen, true, false);
}

/* With a memory controller each run gets a new one: its peak is of that run alone. */
bool pen_release(struct exec_room *room, struct pen *pen, bool entered) {
    bool populated = entered && cgroup_populated(&room->cgroups, pen->name);
    bool remove = entered && room->cgroups.memory && !populated;
    if (populated || remove) {
        submit(room, pen, populated, remove);
    }
    pen->users--;
    pen->idle_since = uv_now(room->loop);
    return populated;
}

void pen_close_all(struct exec_room *room) {
    cgroup_tree_close(&room->cgroups);
    while (room->pens) {
        unlink_pen(room, room->pens);
    }
}
