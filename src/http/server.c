#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/connection.h"

enum { BACKLOG = 256, CLOCK_MS = 500, HEADERS_MAX = 16 * 1024, ACCEPTS_A_TURN = 32, LOOKS = 50 };

const struct http_limits http_default_limits = {
    .connections = 256,
    .requests = 10000,
    .body = 8u << 20,
    .memory = 24u << 20,
    .idle_ms = 60000,
    .head_ms = 10000,
    .body_ms = 60000,
    .answer_ms = 120000,
    .write_ms = 30000,
    .linger_ms = 2000,
};

static void free_when_last(uv_handle_t *handle) {
    struct http_server *s = handle->data;
    if (--s->open_handles == 0) {
        buffer_free(&s->headers);
        http_prepared_free(&s->prepared);
        free(s->read_buffer);
        free(s->path);
        free(s);
    }
}

static void look_at_deadlines(uv_timer_t *timer) {
    struct http_server *s = timer->data;
    uint64_t now = uv_now(timer->loop);
    /* After a pause of the whole process what was sent meanwhile is still to be read. */
    bool was_away = now - s->looked_at > 4 * CLOCK_MS;
    struct http_connection *next;
    s->looked_at = now;
    for (struct http_connection *c = s->first; c; c = next) {
        next = c->next;
        if (now >= c->deadline && !was_away) {
            http_connection_expire(c);
        }
    }
    if (!s->first) {
        uv_timer_stop(&s->clock);
    }
}

void http_server_filter(struct http_server *s, struct filter_maker *maker) {
    s->maker = maker;
}

/* The client that keeps us waiting longest: idle, sending a head, or not closing. */
static struct http_connection *longest_waiting(const struct http_server *s) {
    struct http_connection *found = NULL;
    for (struct http_connection *c = s->first; c; c = c->next) {
        bool waits = c->state == HTTP_IDLE || c->state == HTTP_HEAD || c->state == HTTP_LINGER;
        if (waits && (!found || c->since <= found->since)) { /* new ones are in front */
            found = c;
        }
    }
    return found;
}

/* Takes the connection that libuv has ready, in place of another where there are too many. */
static void welcome(struct http_server *s) {
    if (s->counters.connections >= s->limits.connections) {
        struct http_connection *victim = longest_waiting(s);
        if (victim) {
            s->counters.dropped++;
            http_connection_close(victim);
        }
    }
    http_connection_open(s);
    if (s->first && !uv_is_active((uv_handle_t *)&s->clock)) {
        s->looked_at = uv_now(s->clock.loop);
        uv_timer_start(&s->clock, look_at_deadlines, CLOCK_MS, CLOCK_MS);
    }
}

static void give_more(struct http_server *s) {
    struct http_connection *next;
    s->more = false; /* whoever isn't done sets it again */
    for (struct http_connection *c = s->first; c; c = next) {
        next = c->next;
        if (c->more) {
            c->more = false;
            http_connection_resume(c);
        }
    }
}

static void give_turns(uv_idle_t *idle) {
    struct http_server *s = idle->data;
    uv_idle_stop(idle); /* whoever isn't done starts it again */
    s->accepts = 0;
    if (s->looks) {
        s->looks--;
        uv_idle_start(idle, give_turns);
    }
    if (s->postponed) {
        s->postponed = false;
        welcome(s);
    }
    if (s->more) {
        give_more(s);
    }
}

void http_server_turn_again(struct http_server *s) {
    uv_idle_start(&s->turns, give_turns);
}

void http_server_stay_awake(struct http_server *s) {
    uint64_t now = uv_now(s->clock.loop);
    if (now - s->busy_at <= 1) {
        s->looks = LOOKS;
        uv_idle_start(&s->turns, give_turns);
    }
    s->busy_at = now;
}
struct http_server *http_server_new(uv_loop_t *loop, const struct http_limits *limits,
                                    http_handler handler, void *user) {
    struct http_server *s = calloc(1, sizeof *s);
    char *read_buffer = malloc(HTTP_READ_MAX);
    if (!s || !read_buffer) {
        free(s);
        free(read_buffer);
        return NULL;
    }
    s->read_buffer = read_buffer;
    s->limits = *limits;
    s->handler = handler;
    s->user = user;
    buffer_init(&s->headers, HEADERS_MAX);
    http_prepared_init(&s->prepared);
    uv_timer_init(loop, &s->clock);
    uv_idle_init(loop, &s->turns);
    s->clock.data = s->turns.data = s;
    s->open_handles = 2;
    return s;
}

/* libuv accepts as long as somebody connects: whoever floods us must not keep us from all else. */
static void on_connection(uv_stream_t *listener, int status) {
    struct http_server *s = listener->data;
    if (status < 0) {
        return;
    }
    http_server_turn_again(s);
    if (++s->accepts > ACCEPTS_A_TURN) {
        s->postponed = true; /* not accepted, so libuv asks for no more */
    } else {
        welcome(s);
    }
}

static int begin(struct http_server *s) {
    s->listener.handle.data = s;
    s->open_handles++;
    s->listening = true;
    return uv_listen(&s->listener.stream, BACKLOG, on_connection);
}

int http_server_listen_tcp(struct http_server *s, const char *ip, int port, const char **why) {
    struct sockaddr_storage address;
    *why = "not an IP address";
    int rc = strchr(ip, ':') ? uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&address)
                             : uv_ip4_addr(ip, port, (struct sockaddr_in *)&address);
    if (rc != 0) {
        return rc;
    }
    *why = "it can't be bound";
    rc = uv_tcp_init(s->clock.loop, &s->listener.tcp);
    if (rc != 0) {
        return rc;
    }
    rc = uv_tcp_bind(&s->listener.tcp, (const struct sockaddr *)&address, 0);
    int listened = begin(s);
    return rc != 0 ? rc : listened;
}

int http_server_listen_unix(struct http_server *s, const char *path, const char **why) {
    int fd = http_listen_unix(path, why);
    if (fd < 0) {
        return fd;
    }
    struct stat st = {0};
    s->path = strdup(path);
    stat(path, &st);
    s->socket_device = st.st_dev;
    s->socket_inode = st.st_ino;
    uv_pipe_init(s->clock.loop, &s->listener.pipe, 0);
    int rc = uv_pipe_open(&s->listener.pipe, fd);
    if (rc != 0) {
        close(fd);
    }
    int listened = begin(s);
    return rc != 0 ? rc : listened;
}

int http_server_port(const struct http_server *s) {
    struct sockaddr_storage address;
    int length = sizeof address;
    if (s->path ||
        uv_tcp_getsockname(&s->listener.tcp, (struct sockaddr *)&address, &length) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* Only the socket that we made: another agent may have put its own there since. */
static void remove_socket(const struct http_server *s) {
    struct stat st;
    if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->socket_device &&
        st.st_ino == s->socket_inode) {
        unlink(s->path);
    }
}

void http_server_close(struct http_server *s) {
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->maker = NULL;
    remove_socket(s);
    while (s->first) {
        http_connection_close(s->first);
    }
    uv_close((uv_handle_t *)&s->clock, free_when_last);
    uv_close((uv_handle_t *)&s->turns, free_when_last);
    if (s->listening) {
        uv_close(&s->listener.handle, free_when_last);
    }
}

void http_server_forget(struct http_server *s) {
    http_prepared_forget(&s->prepared);
}

struct http_counters http_server_counters(const struct http_server *s) {
    return s->counters;
}
