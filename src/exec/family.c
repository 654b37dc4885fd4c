#include "exec/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

/* Numbers with a blank behind each; one may be cut between two reads. Few large reads: the kernel
 * may leave somebody out between two of them when others end. */
static int children_of_task(const char *path, pid_t *children, int max) {
    char text[4096];
    int n = 0;
    pid_t pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && n < max && (got = read(fd, text, sizeof text)) > 0;) {
        for (ssize_t i = 0; i < got && n < max; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
            } else if (pid > 0) {
                children[n++] = pid;
                pid = 0;
            }
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return n;
}

int family_children(pid_t pid, pid_t *children, int max) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    int n = 0;
    if (!dir) {
        return 0;
    }
    for (struct dirent *e; n < max && (e = readdir(dir));) {
        long task = strtol(e->d_name, NULL, 10);
        if (task > 0) {
            snprintf(path, sizeof path, "/proc/%d/task/%ld/children", (int)pid, task);
            n += children_of_task(path, children + n, max - n);
        }
    }
    closedir(dir);
    return n;
}

int family_adopted(pid_t *children, int max) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    return children_of_task(path, children, max);
}

bool family_parse_stat(const char *text, struct family_stat *st) {
    const char *after = strrchr(text, ')');
    int parent = 0, group = 0, session = 0;
    *st = (struct family_stat){0};
    if (!after ||
        sscanf(after,
               ") %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
               "%" SCNu64,
               &st->state, &parent, &group, &session, &st->start) != 5) {
        return false;
    }
    st->parent = parent;
    st->group = group;
    st->session = session;
    return true;
}

bool family_read_stat(pid_t pid, struct family_stat *st) {
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) {
        return false;
    }
    text[n] = 0;
    return family_parse_stat(text, st);
}

/* Found first and signalled last: a parent that lives while its children die would act upon it. */
void family_signal(pid_t pid, int sig) {
    if (pid <= 1) { /* kill(-1) means everybody */
        return;
    }
    pid_t *all = malloc(FAMILY_MAX * sizeof *all);
    int n = all ? family_children(pid, all, FAMILY_MAX) : 0;
    uint64_t until = clock_mono_ns() + FAMILY_MS * 1000000ULL;
    for (int i = 0; i < n && clock_mono_ns() < until; i++) {
        n += family_children(all[i], all + n, FAMILY_MAX - n);
    }
    kill(pid, sig);
    kill(-pid, sig);
    for (int i = 0; i < n; i++) {
        kill(all[i], sig);
    }
    free(all);
}

uint64_t family_ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}
