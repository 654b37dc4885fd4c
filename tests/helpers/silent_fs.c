/* A FUSE file system that takes each statfs request, and each look at its directory /hangs, and
 * never answers: who asks hangs in the kernel, and not even KILL ends it. Prints a line for each
 * request. USR1 lets it answer; so does its death. usage: silent_fs MOUNTPOINT -f [FUSE options] */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static atomic_bool answers; /* set by the signal handler */

static void answer_from_now(int sig) {
    (void)sig;
    atomic_store(&answers, true);
}

static void keep_silent(const char *request) {
    printf("%s\n", request);
    fflush(stdout);
    while (!atomic_load(&answers)) {
        usleep(5000);
    }
}

static int root_getattr(const char *path, struct stat *st, struct fuse_file_info *info) {
    (void)info;
    if (strcmp(path, "/hangs") == 0) {
        keep_silent("hangs");
    } else if (strcmp(path, "/") != 0) {
        return -ENOENT;
    }
    *st = (struct stat){.st_mode = S_IFDIR | 0755, .st_nlink = 2};
    return 0;
}

static int root_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                        struct fuse_file_info *info, enum fuse_readdir_flags flags) {
    (void)path;
    (void)offset;
    (void)info;
    (void)flags;
    fill(buf, ".", NULL, 0, 0);
    return 0;
}

static int silent_statfs(const char *path, struct statvfs *st) {
    (void)path;
    keep_silent("statfs");
    *st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 256, .f_namemax = 255};
    return 0;
}

int main(int argc, char **argv) {
    static const struct fuse_operations operations = {
        .getattr = root_getattr, .readdir = root_readdir, .statfs = silent_statfs};
    signal(SIGUSR1, answer_from_now);
    return fuse_main(argc, argv, &operations, NULL);
}
