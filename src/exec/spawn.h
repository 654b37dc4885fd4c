/* Starts a program: clone(CLONE_VM | CLONE_VFORK) and execve, never a shell, 0.5 ms whatever the
 * parent weighs. The calling thread stands still until the child has executed or failed: for ever
 * when a file system hangs. */
#ifndef AGENT_EXEC_SPAWN_H
#define AGENT_EXEC_SPAWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { SPAWN_FDS = 4, SPAWN_LIMITS = 6 };

struct spawn_limit {
    int resource; /* RLIMIT_* */
    rlim_t value; /* soft and hard */
};

struct spawn_plan {
    const char *path;  /* the file to execute; no search in PATH */
    char *const *argv; /* both end with NULL */
    char *const *envp; /* the complete environment */
    const char *cwd;   /* NULL: the parent's */
    bool as_user;      /* then uid and gid hold, and supplementary groups are cleared */
    bool net_raw;      /* as_user: keeps CAP_NET_RAW, and nothing else */
    uid_t uid;
    gid_t gid;
    struct spawn_limit limits[SPAWN_LIMITS];
    size_t nlimits;
    rlim_t mark;        /* mark_limit(), before all else that it does; 0: none */
    int fds[SPAWN_FDS]; /* what becomes 0…3; -1: closed. All others are closed in the child */
    int death_signal;   /* sent to the child when the calling thread ends */
    int cgroup;         /* descriptor of the cgroup's directory; -1: the parent's cgroup */
};

struct spawned {
    _Atomic pid_t pid; /* other threads may read it while spawn() runs: a child that hangs on its
                        * way to execve can be killed. 0: there is none (yet) */
    int pidfd;         /* the caller's to close; -1 where the kernel has none (before 5.2) */
    bool in_cgroup;
};

/* The child leads a session and process group of its own, with default signals and an empty mask.
 * 0, or a positive errno with the step that failed in *step ("execve", "chdir", …); then out->pid,
 * unless it is 0, is a zombie for the caller to reap, so that the number stays its own until then.
 * fds stay the caller's. That the cgroup can't be entered is no failure. Thread-safe. */
int spawn(const struct spawn_plan *plan, struct spawned *out, const char **step);

/* A local user by name, from /etc/passwd alone: NSS (LDAP, sssd) could block the loop and would
 * load its libraries. "UID:GID" in numbers serves for users from elsewhere. */
bool spawn_find_user(const char *name, uid_t *uid, gid_t *gid);

#endif
