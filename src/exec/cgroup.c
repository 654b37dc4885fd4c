#include "exec/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "exec/family.h"

enum {
    SMALL_FILE = 512,
    KILL_ROUNDS = 20, /* without cgroup.kill: who forks meanwhile is met in the next */
    END_WAIT_MS = 200,
    DEPTH_MAX = 6,
};

/* The file's beginning; "" when it can't be read. */
static void read_small(int dir, const char *name, char text[SMALL_FILE]) {
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, SMALL_FILE - 1) : 0;
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0) {
        close(fd);
    }
}

static bool write_small(int dir, const char *name, const char *text) {
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int why = errno;
    close(fd);
    errno = why;
    return ok;
}

static int open_dir(int at, const char *path) {
    return openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_dir(int at, const char *path) {
    return mkdirat(at, path, 0755) == 0 || errno == EEXIST ? open_dir(at, path) : -1;
}

static bool lists(int dir, const char *name, const char *word) {
    char text[SMALL_FILE], *state = NULL;
    read_small(dir, name, text);
    for (char *w = strtok_r(text, " \n", &state); w; w = strtok_r(NULL, " \n", &state)) {
        if (strcmp(w, word) == 0) {
            return true;
        }
    }
    return false;
}

static const char *const controllers[] = {"memory", "cpu", "pids"};
enum { CONTROLLERS = sizeof controllers / sizeof controllers[0] };

static void hand_down(int dir) {
    for (int i = 0; i < CONTROLLERS; i++) {
        char text[16];
        snprintf(text, sizeof text, "+%s", controllers[i]);
        if (!lists(dir, "cgroup.subtree_control", controllers[i])) {
            write_small(dir, "cgroup.subtree_control", text);
        }
    }
}

static bool delegated(int dir) {
    char value[2] = "";
    return (fgetxattr(dir, "trusted.delegate", value, 1) == 1 ||
            fgetxattr(dir, "user.delegate", value, 1) == 1) &&
           value[0] == '1';
}

/* Our own cgroup hands nothing down while we are in it, unless it is the root of all. */
static void make_way(int ours) {
    bool all = true;
    for (int i = 0; i < CONTROLLERS; i++) {
        all = all && (!lists(ours, "cgroup.controllers", controllers[i]) ||
                      lists(ours, "cgroup.subtree_control", controllers[i]));
    }
    if (all || !delegated(ours)) {
        return;
    }
    int dir = make_dir(ours, "supervisor");
    if (dir >= 0) {
        write_small(dir, "cgroup.procs", "0");
        close(dir);
        hand_down(ours);
    }
}

static void kill_each(int dir) {
    for (int round = 0; round < KILL_ROUNDS; round++) {
        int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
        int pid = 0, n = 0;
        while (file && fscanf(file, "%d", &pid) == 1 && pid > 1) {
            kill(pid, SIGKILL);
            n++;
        }
        if (file) {
            fclose(file);
        }
        if (n == 0) {
            return;
        }
    }
}

static void kill_all(int dir) {
    if (!write_small(dir, "cgroup.kill", "1")) { /* before 5.14 */
        kill_each(dir);
    }
}

/* Calls `each` for the cgroups in `dir`. */
static void for_each_below(int dir, void (*each)(int dir, const char *name, int depth), int depth) {
    int copy = open_dir(dir, ".");
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *e; list && (e = readdir(list));) {
        if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            each(dir, e->d_name, depth);
        }
    }
    if (list) {
        closedir(list);
    }
}

static void remove_below(int at, const char *name, int depth) {
    int dir = depth > 0 ? open_dir(at, name) : -1;
    if (dir >= 0) {
        for_each_below(dir, remove_below, depth - 1);
        close(dir);
    }
    unlinkat(at, name, AT_REMOVEDIR);
}

static void kill_below(int at, const char *name, int depth) {
    int dir = depth > 0 ? open_dir(at, name) : -1;
    if (dir >= 0) {
        kill_all(dir);
        for_each_below(dir, kill_below, depth - 1);
        close(dir);
    }
}

static bool populated(int dir) {
    char text[SMALL_FILE];
    read_small(dir, "cgroup.events", text);
    return strstr(text, "populated 1") != NULL;
}

/* Kills all in it, gives them a moment to go, removes it. */
static void end_whole(int at, const char *name) {
    int dir = open_dir(at, name);
    if (dir < 0) {
        return;
    }
    if (populated(dir)) {
        kill_below(at, name, DEPTH_MAX);
    }
    for (int ms = 0; ms < END_WAIT_MS && populated(dir); ms += 5) {
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    close(dir);
    remove_below(at, name, DEPTH_MAX);
}

/* PID.START of an agent that lives is left alone. */
static void remove_leftover(int at, const char *name, int depth) {
    int pid = 0, used = 0;
    uint64_t start = 0;
    struct family_stat st;
    (void)depth;
    if (sscanf(name, "%d.%" SCNu64 "%n", &pid, &start, &used) != 2 || name[used] ||
        (family_read_stat(pid, &st) && st.start == start)) {
        return;
    }
    end_whole(at, name);
}

static bool open_below(struct cgroup_tree *t, int ours, const char *path) {
    struct family_stat self;
    char id[CGROUP_ID];
    make_way(ours);
    int all = make_dir(ours, "agent");
    if (all < 0 || !family_read_stat(getpid(), &self)) {
        snprintf(t->why, sizeof t->why, "cannot make a cgroup below our own: %s", strerror(errno));
        return false;
    }
    for_each_below(all, remove_leftover, DEPTH_MAX);
    hand_down(all);
    snprintf(id, sizeof id, "%d.%" PRIu64, (int)getpid(), self.start);
    int dir = make_dir(all, id);
    close(all);
    if (dir < 0) {
        snprintf(t->why, sizeof t->why, "cannot make cgroup agent/%s: %s", id, strerror(errno));
        return false;
    }
    hand_down(dir);
    t->memory = lists(dir, "cgroup.subtree_control", "memory");
    t->cpu = lists(dir, "cgroup.subtree_control", "cpu");
    t->pids = lists(dir, "cgroup.subtree_control", "pids");
    close(dir);
    snprintf(t->dir, sizeof t->dir, "%s/agent/%s", path, id);
    return true;
}

bool cgroup_tree_open_at(struct cgroup_tree *t, const char *path) {
    int ours = open_dir(AT_FDCWD, path);
    if (ours < 0) {
        snprintf(t->why, sizeof t->why, "cannot open our cgroup: %s", strerror(errno));
        return false;
    }
    bool ok = open_below(t, ours, path);
    close(ours);
    return ok;
}

static char *read_whole(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    if (file && getdelim(&text, &size, 0, file) < 0) {
        free(text);
        text = NULL;
    }
    if (file) {
        fclose(file);
    }
    return text;
}

static void find_place(struct cgroup_tree *t) {
    char dir[CGROUP_PATH];
    char *self = read_whole("/proc/self/cgroup"), *mounts = read_whole("/proc/self/mountinfo");
    const char *why = self && mounts ? cgroup_locate(self, mounts, dir) : "cannot read /proc/self";
    if (why) {
        snprintf(t->why, sizeof t->why, "%s", why);
    } else {
        cgroup_tree_open_at(t, dir);
    }
    free(self);
    free(mounts);
}

void cgroup_tree_init(struct cgroup_tree *t) {
    *t = (struct cgroup_tree){.tried = false};
    pthread_mutex_init(&t->lock, NULL);
}

bool cgroup_tree_open(struct cgroup_tree *t) {
    pthread_mutex_lock(&t->lock);
    if (!t->tried) {
        find_place(t);
        atomic_store(&t->tried, true);
    }
    pthread_mutex_unlock(&t->lock);
    return t->dir[0] != 0;
}

void cgroup_tree_close(struct cgroup_tree *t) {
    pthread_mutex_lock(&t->lock);
    if (t->dir[0]) {
        end_whole(AT_FDCWD, t->dir);
    }
    atomic_store(&t->tried, true);
    pthread_mutex_unlock(&t->lock);
}

static int open_named(const struct cgroup_tree *t, const char *name) {
    char path[CGROUP_PATH + CGROUP_NAME];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    return t->dir[0] ? open_dir(AT_FDCWD, path) : -1;
}

static void write_limit(int dir, const char *file, uint64_t value) {
    char text[32] = "max";
    if (value) {
        snprintf(text, sizeof text, "%" PRIu64, value);
    }
    write_small(dir, file, text);
}

static void write_limits(const struct cgroup_tree *t, int dir, const struct cgroup_limits *l) {
    if (t->memory) {
        write_limit(dir, "memory.max", l->memory);
        write_small(dir, "memory.swap.max", l->memory ? "0" : "max");
        write_small(dir, "memory.oom.group", "1");
    }
    if (t->pids) {
        write_limit(dir, "pids.max", l->pids);
    }
    if (t->cpu) {
        char text[48] = "max 100000";
        if (l->cpu) {
            snprintf(text, sizeof text, "%" PRIu64 " 100000", l->cpu * 100);
        }
        write_small(dir, "cpu.max", text);
    }
}

int cgroup_prepare(const struct cgroup_tree *t, const char *name,
                   const struct cgroup_limits *limits, struct cgroup_limits *wrote) {
    int dir = open_named(t, name);
    if (dir < 0 && t->dir[0]) {
        char path[CGROUP_PATH + CGROUP_NAME];
        snprintf(path, sizeof path, "%s/%s", t->dir, name);
        dir = make_dir(AT_FDCWD, path);
        *wrote = (struct cgroup_limits){0};
    }
    if (dir >= 0 && memcmp(limits, wrote, sizeof *limits) != 0) {
        write_limits(t, dir, limits);
        *wrote = *limits;
    }
    return dir;
}

bool cgroup_populated(const struct cgroup_tree *t, const char *name) {
    char path[CGROUP_PATH + CGROUP_NAME + 32], text[SMALL_FILE];
    snprintf(path, sizeof path, "%s/%s/cgroup.events", t->dir, name);
    read_small(AT_FDCWD, path, text);
    return strstr(text, "populated 1") != NULL;
}

uint64_t cgroup_memory_peak(const struct cgroup_tree *t, const char *name) {
    char text[SMALL_FILE];
    int dir = t->memory ? open_named(t, name) : -1;
    if (dir < 0) {
        return 0;
    }
    read_small(dir, "memory.peak", text);
    close(dir);
    return strtoull(text, NULL, 10);
}

void cgroup_kill(const struct cgroup_tree *t, const char *name) {
    int dir = open_named(t, name);
    if (dir >= 0) {
        kill_all(dir);
        close(dir);
    }
}

void cgroup_remove(const struct cgroup_tree *t, const char *name) {
    char path[CGROUP_PATH + CGROUP_NAME];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    if (t->dir[0]) {
        remove_below(AT_FDCWD, path, DEPTH_MAX);
    }
}
