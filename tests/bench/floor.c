/* floor [CYCLES]: the least that one cycle of CPU, MEM, DISK and NET can cost. Reads the same files
 * of /proc with pread on descriptors that stay open, and the state of every process in both ways
 * there are (opened each time; kept open), looks at nothing, and prints the mean microseconds of a
 * cycle. Built with: cc -O2 -D_GNU_SOURCE -o floor tests/bench/floor.c */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 6, BYTES = 65536, PIDS = 4194304 };

static const char *const paths[FILES] = {"stat",    "loadavg", "diskstats",
                                         "meminfo", "net/dev", "net/sockstat"};

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static int files[FILES];
static int kept[PIDS];
static char bytes[BYTES];
static int processes;

static double microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void read_files(void) {
    for (int i = 0; i < FILES; i++) {
        if (pread(files[i], bytes, sizeof bytes, 0) < 0) {
            perror(paths[i]);
            exit(1);
        }
    }
}

static void read_process(int proc, const char *name, int keep) {
    char path[300];
    int pid = atoi(name);
    int fd = keep && pid < PIDS ? kept[pid] : 0;
    if (!fd) {
        size_t n = strnlen(name, sizeof path - sizeof "/stat");
        memcpy(path, name, n);
        memcpy(path + n, "/stat", sizeof "/stat");
        fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    }
    processes += pread(fd, bytes, 512, 0) > 0;
    if (keep && pid < PIDS) {
        kept[pid] = fd;
    } else {
        close(fd);
    }
}

static void walk(int proc, int keep) {
    static _Alignas(struct entry) char entries[16384];
    lseek(proc, 0, SEEK_SET);
    processes = 0;
    for (long n = 0; (n = syscall(SYS_getdents64, proc, entries, sizeof entries)) > 0;) {
        for (long at = 0; at < n;) {
            const struct entry *e = (const void *)(entries + at);
            at += e->length;
            if (e->name[0] >= '1' && e->name[0] <= '9') {
                read_process(proc, e->name, keep);
            }
        }
    }
}

static double measure(int proc, int cycles, int keep) {
    for (int warm = 0; warm < 10; warm++) {
        read_files();
        walk(proc, keep);
    }
    double began = microseconds();
    for (int i = 0; i < cycles; i++) {
        read_files();
        walk(proc, keep);
    }
    return (microseconds() - began) / cycles;
}

int main(int argc, char **argv) {
    int cycles = argc > 1 ? atoi(argv[1]) : 2000;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < FILES; i++) {
        files[i] = openat(proc, paths[i], O_RDONLY | O_CLOEXEC);
    }
    printf("opened %.1f us, ", measure(proc, cycles, 0));
    printf("kept %.1f us per cycle, %d processes\n", measure(proc, cycles, 1), processes);
    return 0;
}
