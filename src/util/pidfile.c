#include "util/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/parents.h"

enum { OWNED = 0, WRITTEN = 1, POLL_MS = 20 };

static bool lock_byte(int fd, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool is_locked(int fd, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static pid_t read_pid(int fd) {
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    char *end = NULL;
    long pid = strtol(text, &end, 10);
    bool whole = end != text && (*end == '\0' || *end == '\n');
    return whole && pid > 1 && pid <= 4194304 ? (pid_t)pid : 0;
}

/* The file may have been unlinked or replaced between open() and the lock. */
static bool still_there(const char *path, int fd) {
    struct stat here;
    struct stat there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

static bool write_pid(int fd) {
    char text[16];
    int n = snprintf(text, sizeof text, "%d", (int)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n && lock_byte(fd, WRITTEN);
}

static int open_file(const char *path) {
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
}

enum pidfile_answer pidfile_acquire(const char *path, int *fd, pid_t *pid) {
    for (int tries = 0; tries < 10; tries++) {
        *fd = open_file(path);
        if (*fd < 0 && errno == ENOENT) {
            parents_make(path);
            *fd = open_file(path);
        }
        if (*fd < 0) {
            return PIDFILE_ERROR;
        }
        if (!lock_byte(*fd, OWNED)) {
            int why = errno;
            bool held = why == EAGAIN || why == EACCES;
            *pid = held && is_locked(*fd, WRITTEN) ? read_pid(*fd) : 0;
            close(*fd);
            errno = why;
            return held ? PIDFILE_HELD : PIDFILE_ERROR;
        }
        if (still_there(path, *fd)) {
            if (write_pid(*fd)) {
                return PIDFILE_OK;
            }
            int why = errno;
            close(*fd);
            errno = why;
            return PIDFILE_ERROR;
        }
        close(*fd);
    }
    errno = EAGAIN;
    return PIDFILE_ERROR;
}

void pidfile_release(const char *path, int fd) {
    if (still_there(path, fd)) {
        unlink(path);
    }
    close(fd);
}

enum pidfile_answer pidfile_holder(const char *path, pid_t *pid) {
    *pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? PIDFILE_ABSENT : PIDFILE_ERROR;
    }
    enum pidfile_answer answer = is_locked(fd, OWNED) ? PIDFILE_HELD : PIDFILE_STALE;
    if (answer == PIDFILE_HELD && is_locked(fd, WRITTEN)) {
        *pid = read_pid(fd);
    }
    close(fd);
    return answer;
}

static void pause_ms(int ms) {
    struct timespec t = {.tv_nsec = ms * 1000000L};
    nanosleep(&t, NULL);
}

/* The holder's pid, once it has written it. */
static enum pidfile_answer wait_for_pid(const char *path, uint64_t end, pid_t *pid) {
    enum pidfile_answer answer = pidfile_holder(path, pid);
    while (answer == PIDFILE_HELD && *pid == 0 && clock_mono_ns() < end) {
        pause_ms(POLL_MS);
        answer = pidfile_holder(path, pid);
    }
    return answer;
}

static bool wait_until_gone(int pidfd, const char *path, pid_t pid, uint64_t end) {
    for (;;) {
        uint64_t now = clock_mono_ns();
        int left = now < end ? (int)((end - now) / 1000000) + 1 : 0;
        if (pidfd >= 0) {
            struct pollfd p = {.fd = pidfd, .events = POLLIN};
            if (poll(&p, 1, left) > 0) {
                return true;
            }
        } else {
            pid_t holder = 0;
            if (pidfile_holder(path, &holder) != PIDFILE_HELD || (holder && holder != pid)) {
                return true;
            }
            pause_ms(POLL_MS);
        }
        if (now >= end) {
            return false;
        }
    }
}

/* Under its lock: it may be another agent's by now. */
static void remove_file(const char *path) {
    int fd = -1;
    pid_t other = 0;
    if (pidfile_acquire(path, &fd, &other) == PIDFILE_OK) {
        pidfile_release(path, fd);
    }
}

enum pidfile_stop pidfile_stop(const char *path, int signal, int deadline_ms, pid_t *pid,
                               enum pidfile_answer *answer) {
    uint64_t end = clock_mono_ns() + (uint64_t)deadline_ms * 1000000;
    *answer = wait_for_pid(path, end, pid);
    if (*answer != PIDFILE_HELD || *pid == 0) {
        return PIDFILE_NOT_RUNNING;
    }
    /* Linux before 5.3 has no pidfd: then the lock's release tells. */
    int pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
    pid_t again = 0;
    *answer = pidfile_holder(path, &again);
    if (*answer != PIDFILE_HELD || again != *pid) {
        if (pidfd >= 0) {
            close(pidfd);
        }
        return PIDFILE_NOT_RUNNING;
    }
    long rc =
        pidfd >= 0 ? syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) : kill(*pid, signal);
    int why = errno;
    bool gone = rc == 0 ? wait_until_gone(pidfd, path, *pid, end) : why == ESRCH;
    if (pidfd >= 0) {
        close(pidfd);
    }
    if (gone) {
        remove_file(path);
    }
    errno = why;
    return gone ? PIDFILE_STOPPED : rc == 0 ? PIDFILE_STILL_THERE : PIDFILE_NO_SIGNAL;
}
