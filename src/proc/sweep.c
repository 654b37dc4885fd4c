#include "proc/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/directory.h"
#include "proc/file.h"
#include "proc/task.h"
#include "util/clock.h"

static const char deleted_mark[] = " (deleted)";

enum {
    MARK = sizeof deleted_mark - 1,
    ENTRIES_SIZE = 16384,
    STAT_SIZE = 1024, /* the last field that we need ends after 64 + 24 * 21 bytes at most */
    IO_SIZE = 512,
    FILE_PATH = PROC_PID_DIGITS + 8,
    FIRST_MATCHES = 16,
};

/* Needed for the walk alone. */
struct walk {
    int root;
    int fds; /* a PID/fd that is being counted, of the last match; -1: none */
    bool is_procfs;
    long at; /* in entries */
    long filled;
    size_t longest; /* of the paths */
    _Alignas(struct proc_entry) char entries[ENTRIES_SIZE];
    _Alignas(struct proc_entry) char fd_entries[ENTRIES_SIZE];
    char link[PROC_SWEEP_PATH + MARK + 1];
};

struct proc_sweep {
    struct walk *walk; /* NULL after its end */
    char *bytes;       /* of all paths */
    struct proc_path *paths;
    const struct proc_path **sorted;
    size_t path_count;
    struct proc_match *matches;
    size_t count;
    size_t cap;
    unsigned hidden;
};

static int compare_paths(const void *a, const void *b) {
    const struct proc_path *x = *(const struct proc_path *const *)a;
    const struct proc_path *y = *(const struct proc_path *const *)b;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int compare_matches(const void *a, const void *b) {
    const struct proc_match *x = a;
    const struct proc_match *y = b;
    if (x->path != y->path) {
        return x->path < y->path ? -1 : 1;
    }
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* The number of the path, or -1. */
static long find_path(const struct proc_sweep *s, const char *bytes, size_t len) {
    const struct proc_path wanted = {bytes, len};
    const struct proc_path *key = &wanted;
    const struct proc_path **found =
        bsearch(&key, s->sorted, s->path_count, sizeof *s->sorted, compare_paths);
    return found ? *found - s->paths : -1;
}

/* Which path the link is; *deleted: only without the kernel's mark. */
static long find_link(const struct proc_sweep *s, size_t len, bool *deleted) {
    const char *link = s->walk->link;
    long found = find_path(s, link, len);
    *deleted = false;
    if (found < 0 && len > MARK && memcmp(link + len - MARK, deleted_mark, MARK) == 0) {
        *deleted = true;
        found = find_path(s, link, len - MARK);
    }
    return found;
}

static const char *file_of(char *path, const char *pid, const char *file) {
    char *end = stpcpy(path, pid);
    *end++ = '/';
    stpcpy(end, file); /* a pid has at most PROC_PID_DIGITS */
    return path;
}

/* false: the process is gone, or only its end is awaited. */
static bool read_stat(int root, const char *pid, struct proc_match *match) {
    char path[FILE_PATH];
    char bytes[STAT_SIZE];
    int n = proc_read_once(root, file_of(path, pid, "stat"), bytes, sizeof bytes);
    struct proc_task task;
    if (n <= 0 || !proc_task_stat(bytes, (size_t)n, &task) || task.state == 'Z' ||
        task.state == 'X') {
        return false;
    }
    match->start = task.start;
    match->ticks = task.ticks;
    match->pages = task.pages;
    return true;
}

static bool read_io(int root, const char *pid, struct proc_match *match) {
    char path[FILE_PATH];
    char bytes[IO_SIZE];
    int n = proc_read_once(root, file_of(path, pid, "io"), bytes, sizeof bytes);
    match->io_known = n > 0 && proc_task_io(bytes, (size_t)n, &match->read, &match->written);
    return n != -ESRCH;
}

/* Since Linux 6.2 the size of PID/fd is the number of descriptors; else the entries have to be
 * counted, which fill_fds() does. */
static bool read_fds(struct walk *w, const char *pid, struct proc_match *match) {
    char path[FILE_PATH];
    struct stat st;
    file_of(path, pid, "fd");
    if (w->is_procfs && fstatat(w->root, path, &st, 0) == 0 && st.st_size > 0) {
        match->fds = (uint32_t)st.st_size;
        match->fds_known = true;
        return true;
    }
    w->fds = openat(w->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return w->fds >= 0 || errno == EACCES || errno == EPERM || errno == EMFILE || errno == ENFILE;
}

/* Counts one buffer of the entries of PID/fd. */
static void fill_fds(struct proc_sweep *s) {
    struct walk *w = s->walk;
    struct proc_match *match = &s->matches[s->count - 1];
    long n = proc_entries(w->fds, w->fd_entries, ENTRIES_SIZE);
    for (long at = 0; at < n;) {
        const struct proc_entry *entry = (const void *)(w->fd_entries + at);
        at += entry->d_reclen;
        match->fds += entry->d_name[0] != '.';
    }
    if (n <= 0) {
        close(w->fds);
        w->fds = -1;
        match->fds_known = n == 0;
        s->count -= n < 0; /* gone meanwhile */
    }
}

static int append(struct proc_sweep *s, const struct proc_match *match) {
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : FIRST_MATCHES;
        struct proc_match *grown =
            s->cap < PROC_SWEEP_MATCHES ? realloc(s->matches, cap * sizeof *grown) : NULL;
        if (!grown) {
            return -ENOMEM;
        }
        s->matches = grown;
        s->cap = cap;
    }
    s->matches[s->count++] = *match;
    return 0;
}

static int visit(struct proc_sweep *s, const char *name) {
    struct walk *w = s->walk;
    char path[FILE_PATH];
    struct proc_match match = {.pid = proc_pid(name)};
    if (match.pid == 0) {
        return 0;
    }
    size_t size = w->longest + MARK + 1; /* longer than that can't match */
    ssize_t n = readlinkat(w->root, file_of(path, name, "exe"), w->link, size);
    if (n < 0) {
        s->hidden += errno == EACCES || errno == EPERM;
        return 0;
    }
    long found = find_link(s, (size_t)n, &match.deleted);
    if (found < 0 || !read_stat(w->root, name, &match) || !read_io(w->root, name, &match) ||
        !read_fds(w, name, &match)) {
        return 0;
    }
    match.path = (uint32_t)found;
    return append(s, &match);
}

static void end_walk(struct proc_sweep *s) {
    if (!s->walk) {
        return;
    }
    if (s->walk->fds >= 0) {
        close(s->walk->fds);
    }
    if (s->walk->root >= 0) {
        close(s->walk->root);
    }
    free(s->walk);
    s->walk = NULL;
}

static int finish(struct proc_sweep *s, long rc) {
    end_walk(s);
    if (s->count > 1) {
        qsort(s->matches, s->count, sizeof *s->matches, compare_matches);
    }
    return rc < 0 ? (int)rc : 1;
}

int proc_sweep_step(struct proc_sweep *s, uint64_t until) {
    struct walk *w = s->walk;
    if (!w) {
        return 1;
    }
    do {
        if (w->fds >= 0) {
            fill_fds(s);
            continue;
        }
        if (w->at == w->filled) {
            w->at = 0;
            w->filled = proc_entries(w->root, w->entries, ENTRIES_SIZE);
            if (w->filled <= 0) {
                return finish(s, w->filled);
            }
        }
        const struct proc_entry *entry = (const void *)(w->entries + w->at);
        w->at += entry->d_reclen;
        int rc = visit(s, entry->d_name);
        if (rc != 0) {
            return finish(s, rc);
        }
    } while (clock_mono_ns() < until);
    return 0;
}

/* Copies the paths into memory of the sweep. false: there is none. */
static bool take_paths(struct proc_sweep *s, const struct proc_path *paths, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += paths[i].len;
    }
    s->bytes = malloc(total + 1);
    s->paths = calloc(count + 1, sizeof *s->paths);
    s->sorted = calloc(count + 1, sizeof *s->sorted);
    if (!s->bytes || !s->paths || !s->sorted) {
        return false;
    }
    char *at = s->bytes;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, paths[i].bytes, paths[i].len);
        s->paths[i] = (struct proc_path){at, paths[i].len};
        s->sorted[i] = &s->paths[i];
        at += paths[i].len;
        if (paths[i].len > s->walk->longest) {
            s->walk->longest = paths[i].len;
        }
    }
    s->path_count = count;
    qsort(s->sorted, count, sizeof *s->sorted, compare_paths);
    return true;
}

struct proc_sweep *proc_sweep_open(int root, const struct proc_path *paths, size_t count,
                                   int *error) {
    struct proc_sweep *s = calloc(1, sizeof *s);
    struct walk *w = calloc(1, sizeof *w);
    *error = -ENOMEM;
    if (!s || !w) {
        free(s);
        free(w);
        return NULL;
    }
    s->walk = w;
    w->fds = -1;
    /* A position of its own: others walk `root` meanwhile. */
    w->root = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->root < 0) {
        *error = -errno;
    } else if (take_paths(s, paths, count)) {
        w->is_procfs = proc_is_procfs(w->root);
        return s;
    }
    proc_sweep_close(s);
    return NULL;
}

void proc_sweep_close(struct proc_sweep *s) {
    end_walk(s);
    free(s->bytes);
    free(s->paths);
    free(s->sorted);
    free(s->matches);
    free(s);
}

unsigned proc_sweep_hidden(const struct proc_sweep *s) {
    return s->hidden;
}

/* The first match that isn't before (path, pid). */
static size_t lower_bound(const struct proc_sweep *s, size_t path, int pid) {
    struct proc_match wanted = {.path = (uint32_t)path, .pid = pid};
    size_t from = 0;
    size_t to = s->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare_matches(&s->matches[middle], &wanted) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

const struct proc_match *proc_sweep_matches(const struct proc_sweep *s, size_t path,
                                            size_t *count) {
    size_t first = lower_bound(s, path, 0);
    *count = lower_bound(s, path + 1, 0) - first;
    return *count > 0 ? &s->matches[first] : NULL;
}

const struct proc_match *proc_sweep_before(const struct proc_sweep *earlier,
                                           const struct proc_sweep *now,
                                           const struct proc_match *match) {
    const struct proc_path *path = &now->paths[match->path];
    long number = find_path(earlier, path->bytes, path->len);
    size_t at = number < 0 ? earlier->count : lower_bound(earlier, (size_t)number, match->pid);
    if (at == earlier->count) {
        return NULL;
    }
    const struct proc_match *found = &earlier->matches[at];
    bool same =
        found->path == (uint32_t)number && found->pid == match->pid && found->start == match->start;
    return same ? found : NULL;
}

void proc_sums_add(struct proc_sums *sums, const struct proc_match *match,
                   const struct proc_match *before) {
    sums->processes++;
    sums->deleted += match->deleted;
    sums->no_fds += !match->fds_known;
    sums->no_io += !match->io_known;
    sums->fds += match->fds;
    sums->pages += match->pages;
    if (before && match->ticks >= before->ticks) {
        sums->measured++;
        sums->ticks += match->ticks - before->ticks;
    }
    if (before && match->io_known && before->io_known && match->read >= before->read &&
        match->written >= before->written) {
        sums->io_measured++;
        sums->read += match->read - before->read;
        sums->written += match->written - before->written;
    }
}
