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

/* Whether it cannot fork any more. It may be told more than once: the kernel wakes stopped groups
 * whose last relative outside has gone. */
static bool stop_one(struct kin *k) {
    struct family_stat st;
    if (!family_read_stat(k->pid, &st) || (k->start && st.start != k->start)) {
        k->pid = 0;
        return true;
    }
    k->start = st.start;
    if (strchr("TtX", st.state)) {
        return true;
    }
    kill(k->pid, SIGSTOP);
    return st.state == 'Z';
}

static bool is_listed(const struct kin *all, int n, pid_t pid) {
    for (int i = 0; i < n; i++) {
        if (all[i].pid == pid) {
            return true;
        }
    }
    return false;
}

static int add_children(pid_t pid, struct kin *all, int n) {
    pid_t children[FAMILY_MAX];
    int found = pid > 1 ? family_children(pid, children, FAMILY_MAX) : 0, before = n;
    for (int i = 0; i < found && n < KIN_MAX; i++) {
        if (!is_listed(all, before, children[i])) {
            all[n++] = (struct kin){.pid = children[i]};
        }
    }
    return n;
}

int family_stop(struct kin *all, int n, unsigned ms) {
    uint64_t until = clock_mono_ns() + ms * UINT64_C(1000000);
    for (bool still = false; !still && clock_mono_ns() < until;) {
        still = true;
        for (int i = 0; i < n && clock_mono_ns() < until; i++) {
            still = (all[i].pid == 0 || stop_one(&all[i])) && still;
            n = add_children(all[i].pid, all, n);
        }
        if (!still) {
            nanosleep(&(struct timespec){0, 500000}, NULL);
        }
    }
    return n;
}

void family_kill(const struct kin *all, int n) {
    struct family_stat st;
    for (int i = 0; i < n; i++) {
        if (all[i].pid > 1 && family_read_stat(all[i].pid, &st) &&
            (all[i].start == 0 || all[i].start == st.start)) {
            kill(all[i].pid, SIGKILL);
        }
    }
}

void family_end(pid_t pid, unsigned ms) {
    if (pid <= 1) { /* kill(-1) means everybody */
        return;
    }
    struct kin *all = calloc(KIN_MAX, sizeof *all);
    if (all) {
        all[0].pid = pid;
        family_kill(all, family_stop(all, 1, ms));
        free(all);
    }
    kill(pid, SIGKILL);
    kill(-pid, SIGKILL);
}

uint64_t family_ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}
