/* A unix socket of our own at a path where an older one may lie about. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/connection.h"

/* Makes the missing parents of `path`, like mkdir -p. */
static int make_parents(const char *path) {
    char parent[sizeof((struct sockaddr_un *)0)->sun_path]; /* the length was checked */
    snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(parent, 0755) != 0 && errno != EEXIST) {
            return -errno;
        }
        *slash = '/';
    }
    return 0;
}

static int open_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

/* Unlinks a socket at the address when connecting to it is refused. -EADDRINUSE: somebody is there.
 */
static int remove_stale(const struct sockaddr_un *address) {
    struct stat st;
    if (lstat(address->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -EEXIST;
    }
    int fd = open_socket();
    if (fd < 0) {
        return fd;
    }
    int rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int error = rc == 0 ? EADDRINUSE : errno;
    close(fd);
    if (error != ECONNREFUSED) {
        return error == EAGAIN ? -EADDRINUSE : -error;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

int http_listen_unix(const char *path, const char **why) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *why = "path too long for a socket";
    if (strlen(path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    *why = "its directory can't be made";
    int rc = make_parents(path);
    if (rc < 0) {
        return rc;
    }
    rc = remove_stale(&address);
    *why = rc == -EADDRINUSE ? "another process listens there" : "something else is at that path";
    if (rc < 0) {
        return rc;
    }
    *why = "it can't be made";
    int fd = open_socket();
    if (fd < 0) {
        return fd;
    }
    rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
    /* Open to all local users, as the clients of the Go agent expect. */
    if (rc != 0 || chmod(path, 0777) != 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}
