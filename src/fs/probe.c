#include "fs/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 256 };

int fs_usage(const char *path, struct statvfs *usage) {
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return errno;
    }
    int why = fstatvfs(dir, usage) < 0 ? errno : 0;
    close(dir);
    return why;
}

int fs_list(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        return errno;
    }
    errno = 0;
    int why = readdir(dir) ? 0 : errno;
    closedir(dir);
    return why;
}

static int write_and_compare(int fd, const char *text, size_t len) {
    char back[TEXT_MAX + 1];
    ssize_t n = write(fd, text, len);
    if (n < 0) {
        return errno;
    }
    if ((size_t)n != len) {
        return ENOSPC;
    }
    n = pread(fd, back, sizeof back, 0);
    if (n < 0) {
        return errno;
    }
    return (size_t)n == len && memcmp(back, text, len) == 0 ? 0 : EIO;
}

/* What lies there under our name is left over from a run that was killed, or somebody's trick: it
 * is unlinked, never opened. */
static int create(int dir, const char *name) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags, 0644);
    if (fd < 0 && errno == EEXIST && unlinkat(dir, name, 0) == 0) {
        fd = openat(dir, name, flags, 0644);
    }
    return fd;
}

int fs_write(const char *path, const char *name, const char *text, size_t len) {
    if (len > TEXT_MAX) {
        return EINVAL;
    }
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return errno;
    }
    int fd = create(dir, name);
    int why = fd < 0 ? errno : write_and_compare(fd, text, len);
    if (fd >= 0) {
        if (close(fd) < 0 && why == 0) {
            why = errno;
        }
        /* ENOENT: another agent probes at the same time and took ours for a left-over. */
        if (unlinkat(dir, name, 0) < 0 && errno != ENOENT && why == 0) {
            why = errno;
        }
    }
    close(dir);
    return why;
}
