#include "exec/starter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "util/clock.h"

enum {
    SLOW_MS = 50,      /* another thread begins when all are busy with one job for so long */
    HANGING_MS = 5000, /* a thread that is counts as lost, for now */
    STACK = 256 * 1024 /* of which some pages are touched; sanitizers need more */
};

struct worker {
    struct starter *starter;
    bool busy;
    uint64_t since; /* clock_mono_ns() of the job's begin */
};

struct starter {
    void (*gone)(void *ctx);
    void *ctx;
    uv_async_t finished_some;
    uv_timer_t look; /* whether another thread is needed; only while jobs wait for one */
    unsigned waited_for;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t some;
    struct job *first, **last;
    size_t queued;
    struct job *finished, **finished_last;
    struct worker workers[STARTER_THREADS];
    int threads, idle;
    int users; /* threads and open handles: the last one frees */
    bool closed;
};

static void leave(struct starter *s) {
    bool last = --s->users == 0;
    pthread_mutex_unlock(&s->lock);
    if (last) {
        pthread_cond_destroy(&s->some);
        pthread_mutex_destroy(&s->lock);
        s->gone(s->ctx);
        free(s);
    }
}

static struct job *take_first(struct starter *s) {
    struct job *job = s->first;
    s->first = job->next;
    if (!s->first) {
        s->last = &s->first;
    }
    s->queued--;
    return job;
}

static void finish(struct starter *s, struct job *job) {
    if (s->closed) {
        pthread_mutex_unlock(&s->lock);
        job->drop(job);
        pthread_mutex_lock(&s->lock);
        return;
    }
    job->next = NULL;
    *s->finished_last = job;
    s->finished_last = &job->next;
    if (!job->quiet || job->wanted) {
        uv_async_send(&s->finished_some);
    }
}

static void *work(void *arg) {
    struct worker *w = arg;
    struct starter *s = w->starter;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        s->idle++;
        while (!s->first && !s->closed) {
            pthread_cond_wait(&s->some, &s->lock);
        }
        s->idle--;
        if (s->closed) {
            break;
        }
        struct job *job = take_first(s);
        w->busy = true;
        w->since = clock_mono_ns();
        pthread_mutex_unlock(&s->lock);
        job->work(job);
        pthread_mutex_lock(&s->lock);
        w->busy = false;
        finish(s, job);
    }
    leave(s);
    return NULL;
}

static int start_thread(struct starter *s) {
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    struct worker *w = &s->workers[s->threads];
    *w = (struct worker){.starter = s};
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attr, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!error) {
        s->threads++;
        s->users++;
    }
    return error;
}

/* Whether every thread is busy with one job since `ms` or longer. */
static bool all_busy(const struct starter *s, uint64_t ms) {
    uint64_t now = clock_mono_ns();
    for (int i = 0; i < s->threads; i++) {
        if (!s->workers[i].busy || now - s->workers[i].since < ms * 1000000) {
            return false;
        }
    }
    return true;
}

static void take_over(uv_timer_t *timer) {
    struct starter *s = timer->data;
    pthread_mutex_lock(&s->lock);
    if (s->queued && s->threads < STARTER_THREADS && all_busy(s, SLOW_MS)) {
        start_thread(s); /* when that fails now, it is tried again */
    }
    if (s->queued == 0 || s->threads == STARTER_THREADS) {
        uv_timer_stop(timer);
    }
    pthread_mutex_unlock(&s->lock);
}

void starter_collect(struct starter *s, struct job *wanted) {
    pthread_mutex_lock(&s->lock);
    if (wanted) {
        wanted->wanted = true;
    }
    struct job *job = s->finished;
    s->finished = NULL;
    s->finished_last = &s->finished;
    pthread_mutex_unlock(&s->lock);
    while (job) {
        struct job *next = job->next;
        starter_forget(s, job);
        job->done(job);
        job = next;
    }
}

static void hand_back(uv_async_t *async) {
    starter_collect(async->data, NULL);
}

static void handle_closed(uv_handle_t *handle) {
    struct starter *s = handle->data;
    pthread_mutex_lock(&s->lock);
    leave(s);
}

struct starter *starter_open(uv_loop_t *loop, void (*gone)(void *ctx), void *ctx) {
    struct starter *s = calloc(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->gone = gone;
    s->ctx = ctx;
    s->last = &s->first;
    s->finished_last = &s->finished;
    if (uv_async_init(loop, &s->finished_some, hand_back) < 0) {
        free(s);
        return NULL;
    }
    uv_timer_init(loop, &s->look);
    s->finished_some.data = s->look.data = s;
    uv_unref((uv_handle_t *)&s->finished_some);
    uv_unref((uv_handle_t *)&s->look);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->some, NULL);
    s->users = 2;
    return s;
}

static void drop_all(struct job *job) {
    while (job) {
        struct job *next = job->next;
        job->drop(job);
        job = next;
    }
}

void starter_close(struct starter *s) {
    pthread_mutex_lock(&s->lock);
    struct job *queued = s->first, *finished = s->finished;
    s->first = s->finished = NULL;
    s->last = &s->first;
    s->finished_last = &s->finished;
    s->queued = 0;
    s->closed = true;
    pthread_cond_broadcast(&s->some);
    pthread_mutex_unlock(&s->lock);
    drop_all(queued);
    drop_all(finished);
    uv_close((uv_handle_t *)&s->finished_some, handle_closed);
    uv_close((uv_handle_t *)&s->look, handle_closed);
}

static int submit_locked(struct starter *s, struct job *job) {
    int error = 0;
    if (s->threads == 0) {
        error = start_thread(s);
    } else if (s->queued >= STARTER_QUEUE ||
               (s->threads == STARTER_THREADS && all_busy(s, HANGING_MS))) {
        error = EAGAIN;
    }
    if (error) {
        return error;
    }
    job->next = NULL;
    *s->last = job;
    s->last = &job->next;
    s->queued++;
    pthread_cond_signal(&s->some);
    if (s->queued > (size_t)s->idle && s->threads < STARTER_THREADS &&
        !uv_is_active((uv_handle_t *)&s->look)) {
        uv_timer_start(&s->look, take_over, SLOW_MS, SLOW_MS);
    }
    return 0;
}

int starter_submit(struct starter *s, struct job *job) {
    pthread_mutex_lock(&s->lock);
    int error = submit_locked(s, job);
    pthread_mutex_unlock(&s->lock);
    if (error) {
        return error;
    }
    job->waited_for = true;
    if (s->waited_for++ == 0) {
        uv_ref((uv_handle_t *)&s->finished_some);
    }
    return 0;
}

bool starter_cancel(struct starter *s, struct job *job) {
    pthread_mutex_lock(&s->lock);
    struct job **at = &s->first;
    while (*at && *at != job) {
        at = &(*at)->next;
    }
    bool found = *at != NULL;
    if (found) {
        *at = job->next;
        s->queued--;
        if (!*at) {
            s->last = at;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (found) {
        starter_forget(s, job);
    }
    return found;
}

void starter_forget(struct starter *s, struct job *job) {
    if (job->waited_for) {
        job->waited_for = false;
        if (--s->waited_for == 0) {
            uv_unref((uv_handle_t *)&s->finished_some);
        }
    }
}
