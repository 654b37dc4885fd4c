/* The start of a child: what is asked for is copied into a job of the starter, whose thread may
 * hang on it longer than the child is wanted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/child_state.h"
#include "exec/family.h"
#include "util/clock.h"

struct start {
    struct job job;
    struct exec_child *child; /* the loop's */
    struct cgroup_tree *tree;
    struct cgroup_limits limits, wrote;
    char cgroup[CGROUP_NAME]; /* "": none */
    struct spawn_plan plan;   /* its strings lie behind this struct */
    struct spawned out;
    const char *step;
    int error;
};

/* Where the next copy goes; with to = NULL it only counts. */
struct copier {
    char *to;
    size_t used;
};

static void *copy_bytes(struct copier *c, const void *bytes, size_t n, size_t align) {
    c->used = (c->used + align - 1) & ~(align - 1);
    void *at = c->to ? c->to + c->used : NULL;
    if (at) {
        memcpy(at, bytes, n);
    }
    c->used += n;
    return at;
}

static char *copy_string(struct copier *c, const char *s) {
    return s ? copy_bytes(c, s, strlen(s) + 1, 1) : NULL;
}

static char *const *copy_vector(struct copier *c, char *const *from) {
    size_t n = 0;
    while (from[n]) {
        n++;
    }
    char **vector = copy_bytes(c, from, (n + 1) * sizeof *from, sizeof *from);
    for (size_t i = 0; i < n; i++) {
        char *s = copy_string(c, from[i]);
        if (vector) {
            vector[i] = s;
        }
    }
    return vector;
}

static struct spawn_plan copy_plan(struct copier *c, const struct spawn_plan *from) {
    struct spawn_plan plan = *from;
    plan.argv = copy_vector(c, from->argv);
    plan.envp = copy_vector(c, from->envp);
    plan.path = copy_string(c, from->path);
    plan.cwd = copy_string(c, from->cwd);
    return plan;
}

static void free_start(struct start *s) {
    ends_close(s->plan.fds);
    free(s);
}

static void work(struct job *job) {
    struct start *s = (struct start *)job;
    if (s->cgroup[0] && cgroup_tree_open(s->tree)) {
        s->plan.cgroup = cgroup_prepare(s->tree, s->cgroup, &s->limits, &s->wrote);
    }
    s->error = spawn(&s->plan, &s->out, &s->step);
    if (s->plan.cgroup >= 0) {
        close(s->plan.cgroup);
    }
    ends_close(s->plan.fds);
    job->quiet = s->error == 0; /* the loop will see its output or its end */
}

static void done(struct job *job) {
    struct start *s = (struct start *)job;
    struct exec_child *c = s->child;
    pid_t pid = atomic_load(&s->out.pid);
    c->start = NULL;
    c->result.in_cgroup = s->out.in_cgroup;
    if (c->pen) {
        c->pen->wrote = s->wrote;
    }
    if (s->error == 0) {
        c->member.pid = pid;
        child_started(c, s->out.pidfd);
    } else {
        if (pid > 0) {
            waitpid(pid, NULL, WNOHANG);
        }
        c->result.error = s->error;
        c->result.step = s->step;
        child_failed(c);
    }
    free_start(s);
}

/* The room is closed, as the process is about to leave: who does not go at once is not waited for.
 */
static void drop(struct job *job) {
    struct start *s = (struct start *)job;
    pid_t pid = atomic_load(&s->out.pid);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, WNOHANG);
    }
    if (s->out.pidfd >= 0) {
        close(s->out.pidfd);
    }
    free_start(s);
}

bool start_cancel(struct exec_child *c) {
    if (!starter_cancel(c->room->starter, &c->start->job)) {
        return false;
    }
    free_start(c->start);
    c->start = NULL;
    return true;
}

struct job *start_job(struct start *start) {
    return &start->job;
}

pid_t start_pid(const struct start *start) {
    return atomic_load(&start->out.pid);
}

void start_forget(struct exec_child *c) {
    starter_forget(c->room->starter, &c->start->job);
}

static struct start *new_start(struct exec_child *c, const struct exec_options *o) {
    struct copier count = {NULL, 0};
    copy_plan(&count, &o->plan);
    struct start *s = calloc(1, sizeof *s + count.used);
    if (!s) {
        return NULL;
    }
    struct copier copy = {(char *)(s + 1), 0};
    *s = (struct start){
        .job = {.work = work, .done = done, .drop = drop},
        .child = c,
        .tree = &c->room->cgroups,
        .limits = o->cgroup_limits,
        .plan = copy_plan(&copy, &o->plan),
        .out = {.pidfd = -1},
        .step = "start",
    };
    s->plan.cgroup = -1;
    s->plan.mark = c->member.run ? mark_limit(&c->room->marks, c->member.run) : 0;
    memset(s->plan.fds, -1, sizeof s->plan.fds);
    if (c->pen) {
        memcpy(s->cgroup, c->pen->name, sizeof s->cgroup);
        s->wrote = c->pen->wrote;
    }
    return s;
}

static struct exec_child *new_child(struct exec_room *room, const struct exec_options *o) {
    struct exec_child *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->room = room;
    c->pidfd = -1;
    c->grace_ms = o->grace_ms;
    c->began = clock_mono_ns();
    c->member.run = marks_next(&room->marks);
    c->member.started = family_ticks();
    c->member.forever = o->deadline_ms == 0;
    for (int i = 0; i < 2; i++) {
        c->outputs[i].fd = -1;
        buffer_init(&c->outputs[i].bytes, o->max_output);
    }
    frame_init(&c->frames);
    c->pen = o->cgroup ? pen_take(room, o->cgroup) : NULL;
    return c;
}

static int attach(struct exec_child *c, struct ends *e, const struct exec_options *o) {
    int rc = uv_timer_init(c->room->loop, &c->timer);
    child_adopt(c, &c->timer);
    uv_timer_init(c->room->loop, &c->look);
    child_adopt(c, &c->look);
    if (rc == 0) {
        rc = child_open_pipes(c, &e->ours[IN], &e->ours[CHANNEL]);
    }
    if (rc == 0) {
        rc = output_attach(c, &e->ours[OUT], &e->ours[ERR]);
    }
    if (rc == 0 && o->input) {
        rc = -child_write_input(c, o->input, o->input_len);
    }
    if (rc == 0 && o->deadline_ms) {
        rc = child_next_step(c, o->deadline_ms);
    }
    return -rc;
}

/* The pipes, then the job. 0, or a positive errno with *step. */
static int begin(struct exec_child *c, const struct exec_options *o, const char **step) {
    struct ends e;
    *step = "open";
    c->start = new_start(c, o);
    if (!c->start) {
        return ENOMEM;
    }
    int error = ends_open(&e, o->input, o->channel) ? 0 : errno;
    memcpy(c->start->plan.fds, e.theirs, sizeof e.theirs);
    if (!error) {
        error = attach(c, &e, o);
    }
    ends_close(e.ours);
    if (!error) {
        *step = "start";
        error = starter_submit(c->room->starter, &c->start->job);
    }
    if (error) {
        free_start(c->start);
        c->start = NULL;
    }
    return error;
}

struct exec_child *exec_start(struct exec_room *room, const struct exec_options *o,
                              const struct exec_events *events, void *ctx, int *error,
                              const char **step) {
    struct exec_child *c = new_child(room, o);
    *step = "open";
    *error = ENOMEM;
    if (!c) {
        return NULL;
    }
    *error = begin(c, o, step);
    if (*error == 0) {
        room_join(room, &c->member);
        c->events = *events;
        c->ctx = ctx;
        return c;
    }
    if (c->pen) {
        pen_release(room, c->pen, false);
        c->pen = NULL;
    }
    if (c->handles) {
        child_dispose(c);
    } else {
        free(c);
    }
    return NULL;
}
