#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_beneath(const char *root, const char *path) {
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return -1;
    }
    /* O_NONBLOCK: a fifo without a writer must not hold us up before we see that it is one. */
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    int error = errno;
    close(directory);
    errno = error;
    return fd;
}

static int read_part(int fd, uint64_t offset, char *bytes, size_t max, struct fs_part *part) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode) || offset > INT64_MAX) {
        return EINVAL;
    }
    part->size = (uint64_t)st.st_size;
    part->len = pread(fd, bytes, max, (off_t)offset);
    return part->len < 0 ? errno : 0;
}

int fs_read_beneath(const char *root, const char *path, uint64_t offset, char *bytes, size_t max,
                    struct fs_part *part) {
    int fd = open_beneath(root, path);
    if (fd < 0) {
        return errno;
    }
    int error = read_part(fd, offset, bytes, max, part);
    close(fd);
    return error;
}
