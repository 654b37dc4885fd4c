/* Starts a program: clone(CLONE_VM | CLONE_VFORK) and execve, never a shell, 0.5 ms whatever the
 * parent weighs. The parent stands still until the child has executed or failed. */
#ifndef AGENT_EXEC_SPAWN_H
#define AGENT_EXEC_SPAWN_H

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
    uid_t uid;
    gid_t gid;
    struct spawn_limit limits[SPAWN_LIMITS];
    size_t nlimits;
    int fds[SPAWN_FDS]; /* what becomes 0…3; -1: closed. All others are closed in the child */
    int death_signal;   /* sent to the child when the parent dies */
};

struct spawned {
    pid_t pid;
    int pidfd; /* the caller's to close; -1 where the kernel has none (before 5.2) */
};

/* The child leads a session and process group of its own, with default signals and an empty mask.
 * 0, or a positive errno with the step that failed in *step ("execve", "chdir", …); then no child
 * is left. fds stay the caller's. */
int spawn(const struct spawn_plan *plan, struct spawned *out, const char **step);

/* A local user by name, from /etc/passwd alone: NSS (LDAP, sssd) could block the loop and would
 * load its libraries. "UID:GID" in numbers serves for users from elsewhere. */
bool spawn_find_user(const char *name, uid_t *uid, gid_t *gid);

#endif
