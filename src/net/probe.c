#include "net/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"

enum {
    FAMILIES = 2,
    SLICE_NS = 2000000, /* of connecting and closing, before the loop may look at other things */
    EVENTS = 64,
    RESERVED = 256, /* descriptors left to everybody else in the process */
    FEWEST = 16,
    STARVED_MS = 50, /* then asked for again */
    SOON_MS = 1,     /* in the next turn of the loop: libuv runs a timer of 0 ms in this one yet */
    NEVER_MS = 1 << 30,
};

/* One epoll descriptor for all sockets: the loop has one handle to look after, whatever the number
 * of ports. */
struct probe {
    uv_poll_t poll;
    uv_timer_t timer;
    int epoll;
    int handles;
    struct probe_port *ports;
    size_t count;
    size_t next; /* the first that has not begun */
    size_t left; /* without an answer */
    size_t open; /* sockets */
    size_t most; /* sockets at a time */
    void (*done)(void *owner);
    void *owner;
    bool starved; /* the process has no descriptor to give at the moment */
    bool closing;
};

bool probe_is_own_fault(int error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM ||
           error == -EAGAIN || error == -EADDRNOTAVAIL;
}

/* A connection is reset, so that nobody has to remember it. */
static void close_at_once(int fd) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
}

static int connect_to(int fd, int family, uint16_t port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    int rc = family == 0 ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
                         : connect(fd, (struct sockaddr *)&v6, sizeof v6);
    return rc == 0 ? 0 : -errno;
}

/* Where nobody listens on a port of the ephemeral range, the kernel may choose that very port for
 * our end: then we are connected with ourselves. */
static bool is_own_echo(int fd, uint16_t port) {
    struct sockaddr_in6 own = {0};
    socklen_t n = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &n) != 0) {
        return false;
    }
    return ntohs(own.sin6_port) == port; /* at the same place as sin_port */
}

/* Begins to connect. The loopback answers during the call, only the socket does not say so before
 * it is asked once more. -EALREADY: no answer yet. */
static int attempt(struct probe *p, size_t i, int family) {
    struct probe_port *port = &p->ports[i];
    int fd =
        socket(family == 0 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = connect_to(fd, family, port->port);
    if (rc == -EINPROGRESS) {
        rc = connect_to(fd, family, port->port);
    }
    if (rc == 0 && is_own_echo(fd, port->port)) {
        rc = -ECONNREFUSED;
    }
    if (rc == -EALREADY) {
        struct epoll_event event = {.events = EPOLLOUT, .data.u64 = i * FAMILIES + (size_t)family};
        if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0) {
            port->fds[family] = fd;
            p->open++;
            return rc;
        }
        rc = -errno;
    }
    close_at_once(fd);
    return rc;
}

static void drop(struct probe *p, struct probe_port *port, int family) {
    if (port->fds[family] >= 0) {
        close_at_once(port->fds[family]);
        port->fds[family] = -1;
        p->open--;
    }
}

/* What both addresses said together: IPv6 may be missing, which is nobody's fault. */
static int verdict(const struct probe_port *port) {
    if (probe_is_own_fault(port->errors[1]) && port->errors[1] != -EADDRNOTAVAIL) {
        return port->errors[1];
    }
    return port->errors[0];
}

/* One address has answered; the port is settled when it is open, or the other has, too. */
static void answered(struct probe *p, struct probe_port *port, int family, int error) {
    drop(p, port, family);
    port->errors[family] = error;
    if (error == 0) {
        drop(p, port, !family);
        port->error = 0;
        port->seconds = (double)(clock_mono_ns() - port->began) / 1e9;
        p->left--;
    } else if (port->fds[!family] < 0) {
        port->error = verdict(port);
        p->left--;
    }
}

/* Begins with the next port. false: there is no descriptor for it before others are done. */
static bool begin(struct probe *p) {
    struct probe_port *port = &p->ports[p->next];
    size_t others = p->open;
    port->began = clock_mono_ns();
    for (int family = 0; family < FAMILIES; family++) {
        int rc = attempt(p, p->next, family);
        if (others > 0 && (rc == -EMFILE || rc == -ENFILE)) {
            drop(p, port, 0);
            port->began = 0;
            p->starved = true;
            return false;
        }
        port->errors[family] = rc;
        if (rc == 0) {
            break;
        }
    }
    p->next++;
    if (port->errors[0] == 0 || port->errors[1] == 0) {
        answered(p, port, port->errors[0] == 0 ? 0 : 1, 0);
    } else if (port->fds[0] < 0 && port->fds[1] < 0) {
        answered(p, port, 0, port->errors[0]);
    }
    return true;
}

static bool may_begin(const struct probe *p) {
    return p->next < p->count && !p->starved && (p->open == 0 || p->open + FAMILIES <= p->most);
}

static void take_events(struct probe *p) {
    struct epoll_event events[EVENTS];
    int n;
    do {
        n = epoll_wait(p->epoll, events, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            struct probe_port *port = &p->ports[events[i].data.u64 / FAMILIES];
            int family = (int)(events[i].data.u64 % FAMILIES);
            int fd = port->fds[family];
            if (fd < 0) {
                continue; /* dropped a moment ago, with its sister's answer */
            }
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
            bool echo = error == 0 && is_own_echo(fd, port->port);
            answered(p, port, family, echo ? -ECONNREFUSED : -error);
        }
    } while (n == EVENTS);
}

/* Ends what is over its time, as far as that goes until `until`. Returns the milliseconds until the
 * next one is. */
static uint64_t expire(struct probe *p, uint64_t until) {
    uint64_t now = clock_mono_ns();
    uint64_t nearest = NEVER_MS;
    for (size_t i = 0; i < p->next; i++) {
        struct probe_port *port = &p->ports[i];
        if (port->fds[0] < 0 && port->fds[1] < 0) {
            continue;
        }
        uint64_t past = (now - port->began) / 1000000;
        if (past < port->timeout_ms) {
            uint64_t ms = port->timeout_ms - past;
            nearest = ms < nearest ? ms : nearest;
            continue;
        }
        if (clock_mono_ns() > until) {
            return SOON_MS;
        }
        for (int family = 0; family < FAMILIES; family++) {
            if (port->fds[family] >= 0) {
                answered(p, port, family, -ETIMEDOUT);
            }
        }
    }
    return nearest;
}

static void on_closed(uv_handle_t *handle) {
    struct probe *p = handle->data;
    if (--p->handles == 0) {
        close(p->epoll);
        free(p);
    }
}

void probe_close(struct probe *p) {
    if (p->closing) {
        return;
    }
    p->closing = true;
    for (size_t i = 0; i < p->next && p->open > 0; i++) {
        drop(p, &p->ports[i], 0);
        drop(p, &p->ports[i], 1);
    }
    uv_close((uv_handle_t *)&p->poll, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

/* Timers run before sockets are looked at: after a stall of the loop the answers may be there
 * already, so they are taken first. */
static void on_timer(uv_timer_t *timer) {
    struct probe *p = timer->data;
    take_events(p);
    uint64_t until = clock_mono_ns() + SLICE_NS;
    uint64_t ms = expire(p, until);
    p->starved = false;
    while (may_begin(p) && clock_mono_ns() < until && begin(p)) {
        uint64_t timeout = p->ports[p->next - 1].timeout_ms;
        ms = timeout < ms ? timeout : ms;
    }
    if (p->left == 0) {
        probe_close(p);
        p->done(p->owner);
        return;
    }
    uv_update_time(timer->loop);
    if (p->starved && ms > STARVED_MS) {
        ms = STARVED_MS;
    }
    uv_timer_start(timer, on_timer, may_begin(p) ? SOON_MS : ms, 0);
}

static void on_event(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct probe *p = poll->data;
    size_t before = p->left;
    take_events(p);
    if (p->left == 0 || (p->left < before && p->next < p->count)) {
        uv_timer_start(&p->timer, on_timer, 0, 0);
    }
}

/* How many sockets may be open for `wanted`. */
static size_t room(size_t wanted) {
    struct rlimit files;
    wanted = wanted < PROBE_SOCKETS ? wanted : PROBE_SOCKETS;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return FEWEST;
    }
    rlim_t needed = wanted + RESERVED;
    if (files.rlim_cur < needed && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = needed < files.rlim_max ? needed : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= needed) {
        return wanted;
    }
    return files.rlim_cur > RESERVED + FEWEST ? (size_t)(files.rlim_cur - RESERVED) : FEWEST;
}

static struct probe *open_probe(uv_loop_t *loop, int *error) {
    struct probe *p = calloc(1, sizeof *p);
    *error = UV_ENOMEM;
    if (!p) {
        return NULL;
    }
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    *error = p->epoll < 0 ? -errno : uv_poll_init(loop, &p->poll, p->epoll);
    if (*error != 0) {
        if (p->epoll >= 0) {
            close(p->epoll);
        }
        free(p);
        return NULL;
    }
    uv_timer_init(loop, &p->timer);
    p->handles = 2;
    p->poll.data = p->timer.data = p;
    return p;
}

struct probe *probe_start(uv_loop_t *loop, struct probe_port *ports, size_t count,
                          void (*done)(void *owner), void *owner, int *error) {
    struct probe *p = open_probe(loop, error);
    if (!p) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        ports[i].began = 0;
        ports[i].fds[0] = ports[i].fds[1] = -1;
    }
    p->ports = ports;
    p->count = p->left = count;
    p->most = room(count * FAMILIES);
    p->done = done;
    p->owner = owner;
    uv_poll_start(&p->poll, UV_READABLE, on_event);
    uv_timer_start(&p->timer, on_timer, 0, 0);
    return p;
}
