/* What the kernel alone costs: reads the files that the groups CPU, MEM, DISK and NET read, the way
 * the agent reads them (descriptors kept open, pread), and looks at nothing. `floor CYCLES BATCHES`
 * prints the median of CPU microseconds per cycle. `plain` as third argument opens and closes each
 * file anew. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROCESSES = 65536, ENTRIES = 16384, STAT = 512, FILE_SIZE = 65536 };

static const char *const files[] = {"stat",      "loadavg", "meminfo",
                                    "diskstats", "net/dev", "net/sockstat"};
enum { FILES = sizeof files / sizeof files[0] };

struct reader {
    int proc;
    int fixed[FILES];
    int stats[MOST_PROCESSES]; /* by pid; 0 = not open */
    bool plain;
};

static char bytes[FILE_SIZE];

static void read_file(struct reader *r, int i) {
    int fd = r->plain ? openat(r->proc, files[i], O_RDONLY) : r->fixed[i];
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, bytes, sizeof bytes, at)) == (ssize_t)sizeof bytes;) {
        at += n;
    }
    if (r->plain) {
        close(fd);
    }
}

static void read_process(struct reader *r, const char *name) {
    int pid = atoi(name);
    if (pid <= 0) {
        return;
    }
    int slot = pid % MOST_PROCESSES;
    int fd = r->plain ? 0 : r->stats[slot];
    if (fd > 0 && pread(fd, bytes, STAT, 0) > 0) {
        return;
    }
    if (fd > 0) {
        close(fd);
    }
    char path[300];
    snprintf(path, sizeof path, "%s/stat", name);
    fd = openat(r->proc, path, O_RDONLY);
    if (fd < 0 || pread(fd, bytes, STAT, 0) < 0 || r->plain) {
        close(fd);
        fd = 0;
    }
    r->stats[slot] = fd;
}

static void read_processes(struct reader *r) {
    static char entries[ENTRIES] __attribute__((aligned(8)));
    lseek(r->proc, 0, SEEK_SET);
    for (long n; (n = syscall(SYS_getdents64, r->proc, entries, sizeof entries)) > 0;) {
        for (long at = 0; at < n;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            read_process(r, entry->d_name);
        }
    }
}

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double batch(struct reader *r, int cycles) {
    double began = cpu_us();
    for (int c = 0; c < cycles; c++) {
        for (int i = 0; i < FILES; i++) {
            read_file(r, i);
        }
        read_processes(r);
    }
    return (cpu_us() - began) / cycles;
}

int main(int argc, char **argv) {
    static struct reader r;
    static double results[1000];
    int cycles = argc > 1 ? atoi(argv[1]) : 100;
    int batches = argc > 2 ? atoi(argv[2]) : 9;
    r.plain = argc > 3 && strcmp(argv[3], "plain") == 0;
    r.proc = open("/proc", O_RDONLY | O_DIRECTORY);
    if (r.proc < 0 || cycles < 1 || batches < 1 || batches > 1000) {
        fprintf(stderr, "usage: floor CYCLES BATCHES [plain]\n");
        return 64;
    }
    for (int i = 0; i < FILES; i++) {
        r.fixed[i] = openat(r.proc, files[i], O_RDONLY);
    }
    batch(&r, cycles);
    for (int i = 0; i < batches; i++) {
        results[i] = batch(&r, cycles);
    }
    qsort(results, (size_t)batches, sizeof results[0], by_size);
    printf("%.2f\n", results[batches / 2]);
    return 0;
}
