#include "proc/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    FIRST_RESERVE = 8192,
    /* A seq_file of many records ends a read early when the next record does not fit into what is
     * left of its page. No record of ours is half a page long, so a read shorter than that was the
     * last. */
    HALF_PAGE = 2048,
};

bool proc_is_procfs(int fd) {
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int read_all(int fd, bool one_record, struct buffer *into) {
    into->len = 0;
    for (;;) {
        if (into->cap - into->len < FIRST_RESERVE / 2 &&
            !buffer_reserve(into, into->len ? into->len : FIRST_RESERVE) &&
            !buffer_reserve(into, 1)) {
            return -EFBIG;
        }
        size_t room = into->cap - into->len;
        ssize_t n = pread(fd, into->data + into->len, room, (off_t)into->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        into->len += (size_t)n;
        if (n == 0 || ((size_t)n < room && (one_record || n < HALF_PAGE))) {
            return 0;
        }
    }
}

void proc_file_close(struct proc_file *file) {
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
}

static int open_and_read(struct proc_file *file, int root, struct buffer *into) {
    file->fd = openat(root, file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0) {
        return -errno;
    }
    bool keep = proc_is_procfs(file->fd);
    int rc = read_all(file->fd, keep && file->one_record, into);
    if (!keep || rc != 0) {
        proc_file_close(file);
    }
    return rc;
}

int proc_file_read(struct proc_file *file, int root, struct buffer *into) {
    if (file->fd >= 0) {
        int rc = read_all(file->fd, file->one_record, into);
        if (rc == 0 && into->len > 0) {
            return 0;
        }
        proc_file_close(file);
    }
    return open_and_read(file, root, into);
}

int proc_read_once(int root, const char *path, char *bytes, size_t size) {
    int fd = openat(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    ssize_t n = read(fd, bytes, size);
    int rc = n < 0 ? -errno : (int)n;
    close(fd);
    return rc;
}
