#include "exec/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child runs in the parent's memory until execve: no malloc, no stdio, and raw system calls
 * where libc's wrappers would touch the parent's threads (setuid). Sanitizers would mark the
 * parent's stack. */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHADOW_MEMORY = 1 }; /* maps terabytes: RLIMIT_AS cannot hold */
#else
enum { SHADOW_MEMORY = 0 };
#endif

#ifdef SYS_setresuid32
enum { SETRESUID = SYS_setresuid32, SETRESGID = SYS_setresgid32, SETGROUPS = SYS_setgroups32 };
#else
enum { SETRESUID = SYS_setresuid, SETRESGID = SYS_setresgid, SETGROUPS = SYS_setgroups };
#endif

struct child_start {
    const struct spawn_plan *plan;
    pid_t parent;
    const char *step; /* written by the child: shared memory needs no pipe for the error */
    int error;
};

struct kernel_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

IN_CHILD static int fd_number(const char *name) {
    int n = 0;
    for (; *name >= '0' && *name <= '9'; name++) {
        n = n * 10 + (*name - '0');
    }
    return *name ? -1 : n;
}

/* Before 5.9: there is no close_range. */
IN_CHILD static void close_listed(int from) {
    _Alignas(struct kernel_dirent) char list[2048];
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    if (dir < 0) {
        for (int fd = from; fd < 4096; fd++) {
            close(fd);
        }
        return;
    }
    for (long n; (n = syscall(SYS_getdents64, dir, list, sizeof list)) > 0;) {
        for (long at = 0; at < n;) {
            const struct kernel_dirent *entry = (const void *)(list + at);
            int fd = entry->name[0] == '.' ? -1 : fd_number(entry->name);
            if (fd >= from && fd != dir) {
                fcntl(fd, F_SETFD, FD_CLOEXEC);
            }
            at += entry->len;
        }
    }
    close(dir);
}

IN_CHILD static int arrange_fds(const struct spawn_plan *plan) {
    for (int i = 0; i < SPAWN_FDS; i++) {
        if (plan->fds[i] < 0) {
            close(i);
        } else if (dup2(plan->fds[i], i) < 0) {
            return -1;
        }
    }
    if (syscall(SYS_close_range, SPAWN_FDS, ~0U, 0U) < 0) {
        close_listed(SPAWN_FDS);
    }
    return 0;
}

IN_CHILD static int set_limits(const struct spawn_plan *plan) {
    for (size_t i = 0; i < plan->nlimits; i++) {
        struct rlimit limit = {plan->limits[i].value, plan->limits[i].value};
        if (SHADOW_MEMORY && plan->limits[i].resource == RLIMIT_AS) {
            continue;
        }
        if (setrlimit((__rlimit_resource_t)plan->limits[i].resource, &limit) < 0) {
            return -1;
        }
    }
    return 0;
}

IN_CHILD static int become_user(const struct spawn_plan *plan) {
    if (!plan->as_user) {
        return 0;
    }
    if (syscall(SETGROUPS, 0, NULL) < 0) {
        return -1;
    }
    if (syscall(SETRESGID, plan->gid, plan->gid, plan->gid) < 0) {
        return -1;
    }
    return syscall(SETRESUID, plan->uid, plan->uid, plan->uid) < 0 ? -1 : 0;
}

/* Handlers first, then the mask: a handler of the parent must never run in here. */
IN_CHILD static void default_signals(void) {
    /* The raw call with all fields 0, SIG_DFL too: libc refuses the signals that it keeps for
     * itself. */
    const unsigned long action[8] = {0};
    for (int sig = 1; sig < NSIG; sig++) {
        syscall(SYS_rt_sigaction, sig, action, NULL, NSIG / 8);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* After become_user(), which clears it. A parent that died before cannot be told any more. */
IN_CHILD static int die_with_parent(const struct child_start *start) {
    if (!start->plan->death_signal) {
        return 0;
    }
    if (prctl(PR_SET_PDEATHSIG, start->plan->death_signal) < 0) {
        return -1;
    }
    return getppid() == start->parent ? 0 : (errno = ESRCH, -1);
}

IN_CHILD static int child_main(void *arg) {
    struct child_start *start = arg;
    const struct spawn_plan *plan = start->plan;
    setsid();
    if (start->step = "fds", arrange_fds(plan) < 0) {
        goto failed;
    }
    if (start->step = "setrlimit", set_limits(plan) < 0) {
        goto failed;
    }
    if (start->step = "setuid", become_user(plan) < 0) {
        goto failed;
    }
    if (start->step = "chdir", plan->cwd && chdir(plan->cwd) < 0) {
        goto failed;
    }
    if (start->step = "prctl", die_with_parent(start) < 0) {
        goto failed;
    }
    default_signals();
    start->step = "execve";
    execve(plan->path, plan->argv, plan->envp);
failed:
    start->error = errno;
    _exit(127);
}

/* Until the child is gone from our memory no signal may be handled in it. */
static pid_t clone_blocked(struct child_start *start, int *pidfd) {
    _Alignas(16) char stack[16384]; /* ours stays while CLONE_VFORK keeps us waiting */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int dumpable = prctl(PR_GET_DUMPABLE);
    pid_t pid = clone(child_main, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, start, pidfd);
    int why = errno;
    /* A change of user in the child clears this flag of the memory it shares with us. */
    if (start->plan->as_user && dumpable == 1) {
        prctl(PR_SET_DUMPABLE, 1);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

int spawn(const struct spawn_plan *plan, struct spawned *out, const char **step) {
    struct child_start start = {.plan = plan, .parent = getpid(), .step = "clone"};
    *out = (struct spawned){.pid = -1, .pidfd = -1};
    out->pid = clone_blocked(&start, &out->pidfd);
    *step = start.step;
    if (out->pid < 0) {
        return errno;
    }
    if (start.error) {
        while (waitpid(out->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        if (out->pidfd >= 0) {
            close(out->pidfd);
        }
        *out = (struct spawned){.pid = -1, .pidfd = -1};
    }
    return start.error;
}

static bool numeric_user(const char *name, uid_t *uid, gid_t *gid) {
    unsigned long u = 0, g = 0;
    int used = 0;
    if (sscanf(name, "%9lu:%9lu%n", &u, &g, &used) != 2 || name[used]) {
        return false;
    }
    *uid = (uid_t)u;
    *gid = (gid_t)g;
    return true;
}

bool spawn_find_user(const char *name, uid_t *uid, gid_t *gid) {
    if (numeric_user(name, uid, gid)) {
        return true;
    }
    FILE *file = fopen("/etc/passwd", "re");
    if (!file) {
        return false;
    }
    char line[1024];
    struct passwd entry, *found = NULL;
    bool known = false;
    while (!known && fgetpwent_r(file, &entry, line, sizeof line, &found) == 0) {
        known = strcmp(entry.pw_name, name) == 0;
    }
    fclose(file);
    if (known) {
        *uid = entry.pw_uid;
        *gid = entry.pw_gid;
    }
    return known;
}
