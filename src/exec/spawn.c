#include "exec/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <pthread.h>
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
 * where libc's wrappers would touch the parent's threads (setuid), or a sanitizer's the parent's
 * descriptors. Sanitizers would mark the parent's stack. */
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
    struct spawned *out;
    pid_t parent;
    bool enter_cgroup; /* was not born in it */
    bool all_signals;  /* was born with our handlers */
    const char *step;  /* written by the child: shared memory needs no pipe for the error */
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
            syscall(SYS_close, i);
        } else if (syscall(SYS_dup3, plan->fds[i], i, 0) < 0) {
            return -1;
        }
    }
    if (syscall(SYS_close_range, SPAWN_FDS, ~0U, 0U) < 0) {
        close_listed(SPAWN_FDS);
    }
    return 0;
}

IN_CHILD static void set_mark(const struct spawn_plan *plan) {
    struct rlimit mark = {plan->mark, plan->mark};
    if (plan->mark) {
        setrlimit(RLIMIT_RTTIME, &mark);
    }
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

/* CAP_NET_RAW and no other, in spite of the change of user, and across execve. Where we have none
 * to give, the child does without. */
IN_CHILD static void keep_net_raw(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    data[0].effective = data[0].permitted = data[0].inheritable = 1U << CAP_NET_RAW;
    if (syscall(SYS_capset, &head, data) == 0) {
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0);
    }
}

IN_CHILD static int become_user(const struct spawn_plan *plan) {
    if (!plan->as_user) {
        return 0;
    }
    if (plan->net_raw) {
        prctl(PR_SET_KEEPCAPS, 1);
    }
    if (syscall(SETGROUPS, 0, NULL) < 0) {
        return -1;
    }
    if (syscall(SETRESGID, plan->gid, plan->gid, plan->gid) < 0) {
        return -1;
    }
    if (syscall(SETRESUID, plan->uid, plan->uid, plan->uid) < 0) {
        return -1;
    }
    if (plan->net_raw) {
        keep_net_raw();
    }
    return 0;
}

/* What we ignore, which the kernel does not reset in a child. Nothing is ignored later than at our
 * start. */
static uint64_t ignored;

/* The raw call, whose first field is the handler: libc hides the signals that it keeps for itself.
 */
static void note_ignored(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        unsigned long action[8] = {0};
        if (syscall(SYS_rt_sigaction, sig, NULL, action, NSIG / 8) == 0 &&
            action[0] == (unsigned long)SIG_IGN) {
            ignored |= UINT64_C(1) << (sig - 1);
        }
    }
}

/* Handlers first, then the mask: a handler of the parent must never run in here. */
IN_CHILD static void default_signals(const struct child_start *start) {
    /* With all fields 0: SIG_DFL is. */
    const unsigned long action[8] = {0};
    for (int sig = 1; sig < NSIG; sig++) {
        if (start->all_signals || (ignored >> (sig - 1) & 1)) {
            syscall(SYS_rt_sigaction, sig, action, NULL, NSIG / 8);
        }
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

/* Where the kernel can't put it there at birth. Slow: moving a process waits for all CPUs. */
IN_CHILD static void enter_cgroup(const struct child_start *start) {
    int fd = openat(start->plan->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    start->out->in_cgroup = fd >= 0 && write(fd, "0", 1) == 1;
    if (fd >= 0) {
        close(fd);
    }
}

IN_CHILD static int child_main(void *arg) {
    struct child_start *start = arg;
    const struct spawn_plan *plan = start->plan;
    atomic_store(&start->out->pid, (pid_t)syscall(SYS_getpid));
    set_mark(plan); /* a process of our session is none of ours yet, one of another has its mark */
    setsid();
    if (start->enter_cgroup) {
        enter_cgroup(start);
    }
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
    default_signals(start);
    start->step = "execve";
    execve(plan->path, plan->argv, plan->envp);
failed:
    start->error = errno;
    _exit(127);
}

/* A change of user in a child clears the dumpable flag of the memory that it shares with us, which
 * keeps that user's processes from tracing it there. So the flag may only come back when no such
 * child is left: process-wide like the flag. */
static struct {
    pthread_mutex_t lock;
    int children, before;
} dumpable = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void dumpable_begin(const struct spawn_plan *plan) {
    if (plan->as_user) {
        pthread_mutex_lock(&dumpable.lock);
        if (dumpable.children++ == 0) {
            dumpable.before = prctl(PR_GET_DUMPABLE);
        }
        pthread_mutex_unlock(&dumpable.lock);
    }
}

static void dumpable_end(const struct spawn_plan *plan) {
    if (plan->as_user) {
        pthread_mutex_lock(&dumpable.lock);
        if (--dumpable.children == 0 && dumpable.before == 1) {
            prctl(PR_SET_DUMPABLE, 1);
        }
        pthread_mutex_unlock(&dumpable.lock);
    }
}

enum { CHILD_STACK = 16384, CHILD_FLAGS = CLONE_VM | CLONE_VFORK | CLONE_PIDFD };

/* clone3() can put the child into its cgroup at birth. libc has none that takes a stack of the
 * child's own, without which it would write over ours; and its clone() is one that
 * ThreadSanitizer takes for a fork. -1 with errno where this isn't possible. */
static pid_t clone_new(struct child_start *start, char *stack, bool into_cgroup) {
#if defined(__x86_64__) && defined(CLONE_INTO_CGROUP)
    struct clone_args args = {
        .flags = CHILD_FLAGS | CLONE_CLEAR_SIGHAND | (into_cgroup ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uintptr_t)&start->out->pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = CHILD_STACK,
        .cgroup = into_cgroup ? (unsigned)start->plan->cgroup : 0,
    };
    long pid = SYS_clone3;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %[start], %%rdi\n\t"
                     "call *%[child]\n\t"
                     "hlt\n"
                     "1:"
                     : "+a"(pid)
                     : "D"(&args), "S"(sizeof args), [start] "r"(start), [child] "r"(child_main)
                     : "rcx", "r11", "cc", "memory");
    return pid < 0 ? (errno = (int)-pid, -1) : (pid_t)pid;
#else
    (void)start;
    (void)stack;
    (void)into_cgroup;
    errno = ENOSYS;
    return -1;
#endif
}

static pid_t clone_child(struct child_start *start) {
    _Alignas(16) char stack[CHILD_STACK]; /* ours stays while CLONE_VFORK keeps us waiting */
    if (start->plan->cgroup >= 0) {
        pid_t pid = clone_new(start, stack, true);
        if (pid > 0) {
            start->out->in_cgroup = true;
            return pid;
        }
        start->enter_cgroup = true;
    }
    pid_t pid = clone_new(start, stack, false);
    if (pid < 0) {
        start->all_signals = true;
        pid = clone(child_main, stack + sizeof stack, CHILD_FLAGS | SIGCHLD, start,
                    &start->out->pidfd);
    }
    return pid;
}

/* Until the child is gone from our memory no signal may be handled in it. */
static pid_t clone_blocked(struct child_start *start) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    dumpable_begin(start->plan);
    pid_t pid = clone_child(start);
    int why = errno;
    dumpable_end(start->plan);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

int spawn(const struct spawn_plan *plan, struct spawned *out, const char **step) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, note_ignored);
    struct child_start start = {.plan = plan, .out = out, .parent = getpid(), .step = "clone"};
    atomic_store(&out->pid, 0);
    out->pidfd = -1;
    out->in_cgroup = false;
    pid_t pid = clone_blocked(&start);
    *step = start.step;
    if (pid < 0) {
        return errno;
    }
    if (start.error) {
        siginfo_t info;
        while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
        }
        if (out->pidfd >= 0) {
            close(out->pidfd);
            out->pidfd = -1;
        }
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
