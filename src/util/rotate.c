#include "util/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/parents.h"

enum { PATH_LONGEST = PARENTS_PATH_LONGEST, NAME_ROOM = PATH_LONGEST + 16, COUNT_HIGHEST = 1000 };

void rotate_init(struct rotate *r) {
    *r = (struct rotate){.fd = -1};
}

bool rotate_set(struct rotate *r, const char *path, uint64_t size, unsigned count) {
    rotate_init(r);
    r->size = size;
    r->count = count < COUNT_HIGHEST ? count : COUNT_HIGHEST;
    if (!path) {
        return true;
    }
    if (strlen(path) >= PATH_LONGEST) {
        return false;
    }
    r->path = strdup(path);
    return r->path != NULL;
}

static void close_file(struct rotate *r) {
    if (r->fd > STDERR_FILENO) {
        close(r->fd);
    }
    r->fd = -1;
    r->mid_line = false;
}

void rotate_replace(struct rotate *r, struct rotate *next) {
    bool same = r->path && next->path && strcmp(r->path, next->path) == 0;
    if (!same) {
        close_file(r);
    }
    free(r->path);
    r->path = next->path;
    r->size = next->size;
    r->count = next->count;
    rotate_init(next);
}

void rotate_free(struct rotate *r) {
    close_file(r);
    free(r->path);
    rotate_init(r);
}

static int open_file(struct rotate *r) {
    if (!r->path) {
        r->fd = STDERR_FILENO;
        return 0;
    }
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    r->fd = open(r->path, flags, 0644);
    if (r->fd < 0 && errno == ENOENT) {
        parents_make(r->path);
        r->fd = open(r->path, flags, 0644);
    }
    return r->fd < 0 ? errno : 0;
}

/* An external logrotate may have renamed or deleted the file since the last write. */
static int same_file(struct rotate *r) {
    struct stat here;
    struct stat there;
    if (r->fd >= 0 && r->path && fstat(r->fd, &here) == 0 &&
        (stat(r->path, &there) != 0 || here.st_ino != there.st_ino ||
         here.st_dev != there.st_dev)) {
        close_file(r);
    }
    return r->fd < 0 ? open_file(r) : 0;
}

/* PATH.(N-1) → PATH.N, …, PATH → PATH.1; those above N, from a higher count, go. */
static void shift_files(const struct rotate *r) {
    char from[NAME_ROOM];
    char to[NAME_ROOM];
    for (unsigned i = r->count + 1; i <= COUNT_HIGHEST; i++) {
        snprintf(from, sizeof from, "%s.%u", r->path, i);
        if (unlink(from) != 0) {
            break;
        }
    }
    for (unsigned i = r->count; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%u", r->path, i);
        snprintf(from, sizeof from, i > 1 ? "%s.%u" : "%s", r->path, i - 1);
        rename(from, to);
    }
}

static int write_all(struct rotate *r, const char *bytes, size_t n, size_t *written) {
    while (n) {
        ssize_t put = write(r->fd, bytes, n);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : EIO;
        }
        bytes += put;
        n -= (size_t)put;
        *written += (size_t)put;
        r->mid_line = bytes[-1] != '\n';
    }
    return 0;
}

/* How many of n bytes, whole lines, fit into a file of `size` bytes; at least one line into an
 * empty one, and n where the file is no regular one. */
static size_t fitting(const struct rotate *r, const char *lines, size_t n) {
    struct stat st;
    if (!r->size || !r->count || !r->path || fstat(r->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return n;
    }
    uint64_t size = (uint64_t)st.st_size;
    if (size + n <= r->size) {
        return n;
    }
    const char *end = NULL;
    if (size < r->size) {
        end = memrchr(lines, '\n', (size_t)(r->size - size));
    }
    if (!end && size == 0) {
        end = memchr(lines, '\n', n);
        return end ? (size_t)(end - lines) + 1 : n;
    }
    return end ? (size_t)(end - lines) + 1 : 0;
}

int rotate_write(struct rotate *r, const char *lines, size_t n, size_t *written) {
    *written = 0;
    int why = same_file(r);
    size_t ignored = 0;
    if (!why && r->mid_line) {
        why = write_all(r, "\n", 1, &ignored);
    }
    while (!why && *written < n) {
        size_t now = fitting(r, lines + *written, n - *written);
        if (now == 0) {
            shift_files(r);
            close_file(r);
            why = open_file(r);
            /* A directory that refuses the rename must not stop the log. */
            struct stat st;
            if (!why && fstat(r->fd, &st) == 0 && st.st_size > 0) {
                return write_all(r, lines + *written, n - *written, written);
            }
            continue;
        }
        why = write_all(r, lines + *written, now, written);
    }
    return why;
}
