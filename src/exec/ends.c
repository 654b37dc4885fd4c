#include "exec/ends.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void ends_close(int *fds) {
    for (int i = 0; i < SPAWN_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

/* The child's ends must not lie where they are copied to. */
static bool lift(int *fd) {
    if (*fd >= SPAWN_FDS) {
        return true;
    }
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, SPAWN_FDS);
    close(*fd);
    *fd = high;
    return high >= 0;
}

static bool open_pair(struct ends *e, int which) {
    int fds[2] = {-1, -1};
    int rc = which == CHANNEL ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)
                              : pipe2(fds, O_CLOEXEC);
    bool child_reads = which == IN;
    e->ours[which] = fds[child_reads];
    e->theirs[which] = fds[!child_reads];
    return rc == 0 && lift(&e->theirs[which]);
}

bool ends_open(struct ends *e, bool input, bool channel) {
    *e = (struct ends){{-1, -1, -1, -1}, {-1, -1, -1, -1}};
    if (input) {
        if (!open_pair(e, IN)) {
            return false;
        }
    } else {
        e->theirs[IN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (e->theirs[IN] < 0 || !lift(&e->theirs[IN])) {
            return false;
        }
    }
    return open_pair(e, OUT) && open_pair(e, ERR) && (!channel || open_pair(e, CHANNEL));
}
