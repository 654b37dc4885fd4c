/* A FUSE file system over a directory that fails as a file says, which is read at every operation
 * that changes something or syncs: "ok", "eio", "enospc", "erofs", or "hang" until it says
 * something else. usage: faulty_fs BACKING MODE_FILE MOUNTPOINT -f [FUSE options] */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *backing;   /* set once, by main */
static const char *mode_file; /* likewise */

static const char *below(char real[PATH_MAX], const char *path) {
    snprintf(real, PATH_MAX, "%s%s", backing, path);
    return real;
}

static int result(int rc) {
    return rc < 0 ? -errno : 0;
}

/* 0, or what the operation is to fail with. */
static int fault(void) {
    for (;;) {
        char mode[16] = "ok";
        FILE *f = fopen(mode_file, "r");
        if (f) {
            if (!fgets(mode, sizeof mode, f)) {
                mode[0] = '\0';
            }
            fclose(f);
        }
        mode[strcspn(mode, "\n")] = '\0';
        if (strcmp(mode, "hang") != 0) {
            return strcmp(mode, "eio") == 0      ? -EIO
                   : strcmp(mode, "enospc") == 0 ? -ENOSPC
                   : strcmp(mode, "erofs") == 0  ? -EROFS
                                                 : 0;
        }
        usleep(5000);
    }
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *info) {
    char real[PATH_MAX];
    (void)info;
    return result(lstat(below(real, path), st));
}

static int fs_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags) {
    char real[PATH_MAX];
    (void)offset;
    (void)info;
    (void)flags;
    DIR *dir = opendir(below(real, path));
    if (!dir) {
        return -errno;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        fill(buf, e->d_name, NULL, 0, 0);
    }
    closedir(dir);
    return 0;
}

static int fs_mkdir(const char *path, mode_t mode) {
    char real[PATH_MAX];
    int why = fault();
    return why ? why : result(mkdir(below(real, path), mode));
}

static int fs_unlink(const char *path) {
    char real[PATH_MAX];
    int why = fault();
    return why ? why : result(unlink(below(real, path)));
}

static int fs_rename(const char *from, const char *to, unsigned flags) {
    char real_from[PATH_MAX];
    char real_to[PATH_MAX];
    (void)flags;
    int why = fault();
    return why ? why : result(rename(below(real_from, from), below(real_to, to)));
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *info) {
    char real[PATH_MAX];
    int why = fault();
    if (why) {
        return why;
    }
    int fd = open(below(real, path), info->flags | O_CREAT, mode);
    info->fh = (uint64_t)fd;
    return result(fd);
}

static int fs_open(const char *path, struct fuse_file_info *info) {
    char real[PATH_MAX];
    int fd = open(below(real, path), info->flags);
    info->fh = (uint64_t)fd;
    return result(fd);
}

static int fs_release(const char *path, struct fuse_file_info *info) {
    (void)path;
    return result(close((int)info->fh));
}

static int fs_read(const char *path, char *buf, size_t size, off_t at,
                   struct fuse_file_info *info) {
    (void)path;
    int why = fault();
    why = why == -EIO ? why : 0;
    ssize_t n = why ? 0 : pread((int)info->fh, buf, size, at);
    return why ? why : n < 0 ? -errno : (int)n;
}

static int fs_write(const char *path, const char *buf, size_t size, off_t at,
                    struct fuse_file_info *info) {
    (void)path;
    int why = fault();
    ssize_t n = why ? 0 : pwrite((int)info->fh, buf, size, at);
    return why ? why : n < 0 ? -errno : (int)n;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *info) {
    char real[PATH_MAX];
    (void)info;
    int why = fault();
    return why ? why : result(truncate(below(real, path), size));
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *info) {
    (void)path;
    (void)data_only;
    int why = fault();
    return why ? why : result(fdatasync((int)info->fh));
}

static int fs_fsyncdir(const char *path, int data_only, struct fuse_file_info *info) {
    (void)path;
    (void)data_only;
    (void)info;
    return fault();
}

int main(int argc, char **argv) {
    static const struct fuse_operations operations = {.getattr = fs_getattr,
                                                      .readdir = fs_readdir,
                                                      .mkdir = fs_mkdir,
                                                      .unlink = fs_unlink,
                                                      .rename = fs_rename,
                                                      .create = fs_create,
                                                      .open = fs_open,
                                                      .release = fs_release,
                                                      .read = fs_read,
                                                      .write = fs_write,
                                                      .truncate = fs_truncate,
                                                      .fsync = fs_fsync,
                                                      .fsyncdir = fs_fsyncdir};
    if (argc < 4) {
        fprintf(stderr, "usage: faulty_fs BACKING MODE_FILE MOUNTPOINT -f\n");
        return 64;
    }
    backing = argv[1];
    mode_file = argv[2];
    argv[2] = argv[0];
    return fuse_main(argc - 2, argv + 2, &operations, NULL);
}
