#include "exec/cull.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

enum {
    ROUND_MS = 100,  /* somebody in an uninterruptible sleep never stands still */
    ROUNDS_MAX = 10, /* then those are killed who are known */
};

struct cull_job {
    struct job job;
    struct cull *cull;
    unsigned ms;
    struct cull_result result;
    void (*done)(void *ctx, const struct cull_result *result);
    void *ctx;
    struct cull_order order;
    pid_t strays[STRAYS_MAX];
    int n;
    struct kin kin[KIN_MAX]; /* the doomed, then their families too */
    struct origin origins[];
};

static bool is_orphan(pid_t pid, struct family_stat *st) {
    return family_read_stat(pid, st) && st->session != getsid(0);
}

static const struct origin *find_origin(const struct cull_order *order, uint32_t run) {
    for (int i = 0; i < order->norigins && run; i++) {
        if (order->origins[i].run == run) {
            return &order->origins[i];
        }
    }
    return NULL;
}

/* Whether it is to end. */
static bool is_doomed(struct cull_job *j, pid_t pid, struct kin *k) {
    struct family_stat st;
    if (!is_orphan(pid, &st)) {
        return false;
    }
    j->result.left++;
    *k = (struct kin){.pid = pid, .start = st.start};
    if (st.state == 'Z' || getpid() == 1) {
        return false;
    }
    uint32_t run = mark_run_of(&j->order.marks, pid);
    return run ? !find_origin(&j->order, run) : st.start < j->order.spare_from;
}

/* Not who may be a run's own process: that one is waited for. */
static void reap(struct cull_job *j, pid_t pid) {
    struct family_stat st;
    const struct origin *origin = find_origin(&j->order, mark_run_of(&j->order.marks, pid));
    if (is_orphan(pid, &st) && st.state == 'Z' && (!origin || origin->told)) {
        j->result.left -= waitpid(pid, NULL, WNOHANG) == pid;
    }
}

static void reap_all(struct cull_job *j) {
    for (int i = 0; i < j->order.nstrays; i++) {
        reap(j, j->strays[i]);
    }
}

/* Stops the doomed at first sight. */
static void settle(struct cull_job *j) {
    uint64_t until = clock_mono_ns() + j->ms * UINT64_C(1000000);
    int i = 0;
    for (; i < j->order.nstrays && clock_mono_ns() < until; i++) {
        if (is_doomed(j, j->strays[i], &j->kin[j->n])) {
            kill(j->kin[j->n++].pid, SIGSTOP);
        }
    }
    j->result.left += j->order.nstrays - i;
}

static bool knows(const struct cull *c, const struct kin *k) {
    for (int i = 0; i < c->n; i++) {
        if (c->kin[i].pid == k->pid) {
            return c->kin[i].start == k->start;
        }
    }
    return false;
}

static bool knows_all(const struct cull *c, const struct kin *doomed, int n) {
    for (int i = 0; i < n; i++) {
        if (!knows(c, &doomed[i])) {
            return false;
        }
    }
    return true;
}

static void kill_known(struct cull *c) {
    family_kill(c->kin, c->n);
    c->killed = true;
    c->rounds = 0;
}

static void keep(struct cull *c, const struct cull_job *j) {
    free(c->kin);
    c->n = 0;
    c->killed = false;
    c->kin = malloc((size_t)j->n * sizeof *c->kin);
    if (c->kin) {
        memcpy(c->kin, j->kin, (size_t)j->n * sizeof *c->kin);
        c->n = j->n;
    } else {
        family_kill(j->kin, j->n);
    }
}

static void work(struct job *job) {
    struct cull_job *j = (struct cull_job *)job;
    struct cull *c = j->cull;
    settle(j);
    bool known = knows_all(c, j->kin, j->n), over = c->n == 0 || c->killed;
    j->result.news = !known || !over;
    if (!j->result.news) {
        reap_all(j); /* until now the dead kept their places */
    }
    if (!over && (known || c->rounds == ROUNDS_MAX)) {
        kill_known(c);
    }
    if (!known) {
        j->n = family_stop(j->kin, j->n, j->ms);
        keep(c, j);
        c->rounds++;
    }
}

static void done(struct job *job) {
    struct cull_job *j = (struct cull_job *)job;
    j->done(j->ctx, &j->result);
    free(j);
}

static void drop(struct job *job) {
    free(job);
}

static struct cull_job *new_job(const struct cull_order *order) {
    size_t strays = (size_t)order->nstrays * sizeof *order->strays;
    size_t origins = (size_t)order->norigins * sizeof *order->origins;
    struct cull_job *j = calloc(1, sizeof *j + origins);
    if (j) {
        j->job = (struct job){.work = work, .done = done, .drop = drop};
        j->ms = ROUND_MS;
        j->order = *order;
        j->order.strays = memcpy(j->strays, order->strays, strays);
        j->order.origins = memcpy(j->origins, order->origins, origins);
    }
    return j;
}

bool cull_round(struct cull *c, struct starter *starter, const struct cull_order *order,
                void (*on_done)(void *ctx, const struct cull_result *result), void *ctx) {
    struct cull_job *j = new_job(order);
    if (!j) {
        return false;
    }
    j->cull = c;
    j->done = on_done;
    j->ctx = ctx;
    if (starter_submit(starter, &j->job) != 0) { /* all threads hang: then here */
        j->ms = FAMILY_MS;
        work(&j->job);
        done(&j->job);
    }
    return true;
}

void cull_now(const struct cull_order *order) {
    struct cull_job *j = order->nstrays > 0 ? new_job(order) : NULL;
    if (j) {
        settle(j);
        j->n = j->n > 0 ? family_stop(j->kin, j->n, j->ms) : 0;
        family_kill(j->kin, j->n);
        reap_all(j);
        free(j);
    }
}

void cull_reset(struct cull *c) {
    free(c->kin);
    *c = (struct cull){.kin = NULL};
}
