#include "proc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/directory.h"
#include "proc/file.h"

enum {
    ENTRIES_SIZE = 16384,
    STAT_SIZE = 512, /* the state stands behind a name of at most 64 bytes, escaped */
};

char proc_state(const char *bytes, size_t n) {
    struct scan s = scan_bytes(bytes, n);
    uint64_t pid = 0;
    if (!scan_u64(&s, &pid) || !scan_text(&s, " (")) {
        return 0;
    }
    const char *close = s.at < s.end ? memrchr(s.at, ')', scan_left(&s)) : NULL;
    if (!close || s.end - close < 3 || close[1] != ' ') {
        return 0;
    }
    char state = close[2];
    bool ends = s.end - close == 3 || close[3] == ' ' || close[3] == '\n';
    bool letter = (state >= 'A' && state <= 'Z') || (state >= 'a' && state <= 'z');
    return ends && letter ? state : 0;
}

/* One walk: takes what the last one kept from `old`, keeps its own in `fresh`. */
struct pass {
    const struct proc_kept *old;
    size_t old_count;
    size_t next; /* first of the old ones not yet met */
    struct proc_kept *fresh;
    size_t fresh_count;
    int root;
    bool keep;
    struct proc_counts *counts;
};

/* The descriptor kept for the process, or -1. The directory lists in ascending order, so those it
 * has passed by are gone. */
static int take_kept(struct pass *pass, int pid) {
    while (pass->next < pass->old_count && pass->old[pass->next].pid < pid) {
        close(pass->old[pass->next++].fd);
    }
    if (pass->next < pass->old_count && pass->old[pass->next].pid == pid) {
        return pass->old[pass->next++].fd;
    }
    return -1;
}

static int open_stat(int root, const char *name) {
    char path[PROC_PID_DIGITS + sizeof "/stat"];
    char *end = stpcpy(path, name);
    memcpy(end, "/stat", sizeof "/stat");
    return openat(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static void count_state(struct proc_counts *counts, char state) {
    counts->total += state != 0;
    counts->running += state == 'R';
    counts->zombies += state == 'Z';
}

/* Gone meanwhile, or hidden from us (mount option hidepid): there, in a state that we can't know.
 */
static int count_unopened(struct proc_counts *counts, int error) {
    if (error == EACCES || error == EPERM) {
        counts->total++;
        return 0;
    }
    return error == ENOENT || error == ESRCH || error == ENOTDIR ? 0 : -error;
}

/* A descriptor belongs to its process, not to the number: once that is gone, reading fails for
 * good. */
static int count_process(struct pass *pass, const char *name, int pid) {
    char bytes[STAT_SIZE];
    int fd = take_kept(pass, pid);
    ssize_t n = fd >= 0 ? pread(fd, bytes, sizeof bytes, 0) : -1;
    if (n <= 0) {
        if (fd >= 0) {
            close(fd);
        }
        fd = open_stat(pass->root, name);
        if (fd < 0) {
            return count_unopened(pass->counts, errno);
        }
        n = pread(fd, bytes, sizeof bytes, 0);
    }
    if (n > 0) {
        count_state(pass->counts, proc_state(bytes, (size_t)n));
    }
    if (n > 0 && pass->keep && pass->fresh_count < PROC_WALK_KEPT) {
        pass->fresh[pass->fresh_count++] = (struct proc_kept){pid, fd};
    } else {
        close(fd);
    }
    return 0;
}

static int walk_directory(struct pass *pass) {
    _Alignas(struct proc_entry) char entries[ENTRIES_SIZE];
    if (lseek(pass->root, 0, SEEK_SET) < 0) {
        return -errno;
    }
    for (;;) {
        long n = proc_entries(pass->root, entries, sizeof entries);
        if (n <= 0) {
            return (int)n;
        }
        for (long at = 0; at < n;) {
            const struct proc_entry *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            int pid = proc_pid(entry->d_name);
            int rc = pid > 0 ? count_process(pass, entry->d_name, pid) : 0;
            if (rc != 0) {
                return rc;
            }
        }
    }
}

int proc_count(struct proc_walk *walk, int root, struct proc_counts *counts) {
    *counts = (struct proc_counts){0};
    int fresh = !walk->turn;
    struct pass pass = {
        .old = walk->kept[walk->turn],
        .old_count = walk->count,
        .fresh = walk->kept[fresh],
        .root = root,
        .keep = walk->keep,
        .counts = counts,
    };
    int rc = walk_directory(&pass);
    while (pass.next < pass.old_count) {
        close(pass.old[pass.next++].fd);
    }
    walk->turn = fresh;
    walk->count = pass.fresh_count;
    if (rc != 0) {
        proc_walk_close(walk);
    }
    return rc;
}

void proc_walk_close(struct proc_walk *walk) {
    while (walk->count > 0) {
        close(walk->kept[walk->turn][--walk->count].fd);
    }
}
