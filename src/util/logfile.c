#include "util/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/clock.h"
#include "util/rotate.h"

enum { KEPT_MAX = 16 * 1024 };

struct waiter {
    struct waiter *next;
    void (*done)(void *arg);
    void *arg;
};

struct logfile {
    uv_loop_t *loop;
    struct rotate target;   /* the work item's while one runs */
    struct rotate *pending; /* options to take before the next write */
    struct buffer filling;  /* the loop's */
    struct buffer writing;  /* the work item's */
    uv_mutex_t lock;
    uv_cond_t ended;
    bool busy; /* under lock: a work item runs */
    bool closing;
    unsigned scheduled; /* work items whose end the loop has not seen yet */
    uint64_t lost;      /* under lock: since start */
    uint64_t reported;  /* of those, already told through on_lost */
    bool works;         /* under lock: the last write succeeded */
    int why;            /* under lock: errno of the last failure */
    struct waiter *waiters;
    void (*on_lost)(void *arg, uint64_t lines, int why);
    void *arg;
};

static uint64_t lines_in(const char *bytes, size_t n) {
    uint64_t lines = 0;
    const char *end = bytes + n;
    while (n && (bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        lines++;
        bytes++;
    }
    return lines;
}

struct logfile *logfile_new(uv_loop_t *loop, const struct logfile_options *options) {
    struct logfile *f = calloc(1, sizeof *f);
    if (!f) {
        return NULL;
    }
    f->loop = loop;
    rotate_init(&f->target);
    buffer_init(&f->filling, options->buffer_max);
    buffer_init(&f->writing, options->buffer_max);
    uv_mutex_init(&f->lock);
    uv_cond_init(&f->ended);
    if (!logfile_configure(f, options)) {
        logfile_close(f);
        return NULL;
    }
    return f;
}

bool logfile_configure(struct logfile *f, const struct logfile_options *options) {
    struct rotate *next = malloc(sizeof *next);
    if (!next || !rotate_set(next, options->path, options->rotate_size, options->rotate_count)) {
        free(next);
        return false;
    }
    if (f->pending) {
        rotate_free(f->pending);
        free(f->pending);
    }
    f->pending = next;
    f->on_lost = options->on_lost;
    f->arg = options->arg;
    return true;
}

/* In a thread of libuv's pool: all that may hang happens here. */
static void write_batch(uv_work_t *req) {
    struct logfile *f = req->data;
    size_t written = 0;
    int why =
        f->writing.len ? rotate_write(&f->target, f->writing.data, f->writing.len, &written) : 0;
    uv_mutex_lock(&f->lock);
    if (why) {
        f->lost += lines_in(f->writing.data + written, f->writing.len - written);
        f->why = why;
    }
    if (f->writing.len) {
        f->works = why == 0;
    }
    f->writing.len = 0;
    if (f->writing.cap > KEPT_MAX) {
        buffer_free(&f->writing); /* a burst must not weigh on us for ever */
    }
    f->busy = false;
    uv_cond_broadcast(&f->ended);
    uv_mutex_unlock(&f->lock);
}

static void batch_done(uv_work_t *req, int status);

/* Hands what is waiting to a work item; nothing may be running. */
static void start_batch(struct logfile *f) {
    uv_work_t *req = calloc(1, sizeof *req);
    if (!req) {
        return; /* the next line tries again */
    }
    if (f->pending) {
        rotate_replace(&f->target, f->pending);
        free(f->pending);
        f->pending = NULL;
    }
    struct buffer taken = f->filling;
    f->filling = f->writing;
    f->writing = taken;
    req->data = f;
    f->busy = true;
    f->scheduled++;
    uv_queue_work(f->loop, req, write_batch, batch_done);
}

static bool idle(struct logfile *f) {
    uv_mutex_lock(&f->lock);
    bool busy = f->busy;
    uv_mutex_unlock(&f->lock);
    return !busy;
}

static void tell_lost(struct logfile *f) {
    uv_mutex_lock(&f->lock);
    uint64_t lines = f->works && !f->busy ? f->lost - f->reported : 0;
    f->reported += lines;
    int why = f->why;
    uv_mutex_unlock(&f->lock);
    if (lines && f->on_lost) {
        f->on_lost(f->arg, lines, why);
    }
}

static void call_waiters(struct logfile *f) {
    struct waiter *list = f->waiters;
    f->waiters = NULL;
    while (list) {
        struct waiter *next = list->next;
        list->done(list->arg);
        free(list);
        list = next;
    }
}

static void free_logfile(struct logfile *f) {
    rotate_free(&f->target);
    if (f->pending) {
        rotate_free(f->pending);
        free(f->pending);
    }
    while (f->waiters) {
        struct waiter *next = f->waiters->next;
        free(f->waiters);
        f->waiters = next;
    }
    buffer_free(&f->filling);
    buffer_free(&f->writing);
    uv_mutex_destroy(&f->lock);
    uv_cond_destroy(&f->ended);
    free(f);
}

static void batch_done(uv_work_t *req, int status) {
    (void)status;
    struct logfile *f = req->data;
    free(req);
    f->scheduled--;
    if (f->scheduled > 0) {
        return; /* logfile_drain() has started another one since */
    }
    if (f->closing) {
        free_logfile(f);
        return;
    }
    tell_lost(f);
    if (f->filling.len && idle(f)) {
        start_batch(f);
    }
    if (f->scheduled == 0) {
        call_waiters(f);
    }
}

bool logfile_append(struct logfile *f, const char *lines, size_t n) {
    bool taken = buffer_append(&f->filling, lines, n);
    if (!taken) {
        uv_mutex_lock(&f->lock);
        f->lost += lines_in(lines, n);
        f->why = f->why ? f->why : ENOBUFS;
        uv_mutex_unlock(&f->lock);
    }
    if (f->scheduled == 0) {
        start_batch(f);
    }
    return taken;
}

bool logfile_flush(struct logfile *f, void (*done)(void *arg), void *arg) {
    struct waiter *w = malloc(sizeof *w);
    if (!w) {
        return false;
    }
    *w = (struct waiter){.next = f->waiters, .done = done, .arg = arg};
    f->waiters = w;
    if (f->scheduled == 0) {
        start_batch(f); /* with nothing in it: so done() is always called from the loop */
    }
    return f->scheduled > 0;
}

bool logfile_drain(struct logfile *f, unsigned deadline_ms) {
    uint64_t end = clock_mono_ns() + (uint64_t)deadline_ms * 1000000;
    uv_mutex_lock(&f->lock);
    while (f->busy || f->filling.len) {
        if (!f->busy) {
            uv_mutex_unlock(&f->lock);
            start_batch(f);
            uv_mutex_lock(&f->lock);
            continue;
        }
        uint64_t now = clock_mono_ns();
        if (now >= end || uv_cond_timedwait(&f->ended, &f->lock, end - now) != 0) {
            break;
        }
    }
    bool clean = !f->busy && f->filling.len == 0;
    uv_mutex_unlock(&f->lock);
    return clean;
}

uint64_t logfile_lost(struct logfile *f) {
    uv_mutex_lock(&f->lock);
    uint64_t lost = f->lost;
    uv_mutex_unlock(&f->lock);
    return lost;
}

void logfile_close(struct logfile *f) {
    f->closing = true;
    if (f->scheduled == 0) {
        free_logfile(f);
    }
}
