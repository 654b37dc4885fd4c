#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/probe.h"

enum { SILENT = 40, EPHEMERAL = 40000, SKIPPED = 99 };

static void on_done(void *owner) {
    ++*(int *)owner;
}

static int ask(struct probe_port *ports, size_t count) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    int calls = 0;
    int error = 0;
    struct probe *p = probe_start(&loop, ports, count, on_done, &calls, &error);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return p ? calls : error;
}

/* Its queue is full with the first connection, when `client` is given. */
static uint16_t listen_at_free_port(int *fd, int *client) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(*fd, 0), 0);
    getsockname(*fd, (struct sockaddr *)&at, &n);
    if (client) {
        *client = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(*client, (struct sockaddr *)&at, n), 0);
    }
    return ntohs(at.sin_port);
}

/* In a child, whose limit it is. */
static int probe_with_few_descriptors(void) {
    struct probe_port ports[SILENT + 1];
    int fd[SILENT + 1];
    int client[SILENT];
    for (int i = 0; i < SILENT; i++) {
        ports[i] = (struct probe_port){listen_at_free_port(&fd[i], &client[i]), 50, .error = 1};
    }
    ports[SILENT] = (struct probe_port){listen_at_free_port(&fd[SILENT], NULL), 50, .error = 1};
    int next = dup(0);
    close(next);
    struct rlimit few = {(rlim_t)next + 12, (rlim_t)next + 12}; /* epoll and loop take a few */
    setrlimit(RLIMIT_NOFILE, &few);
    if (ask(ports, SILENT + 1) != 1) {
        return 1;
    }
    for (int i = 0; i < SILENT; i++) {
        if (ports[i].error != -ETIMEDOUT) {
            return 2;
        }
    }
    return ports[SILENT].error == 0 ? 0 : 3;
}

static int in_child(int (*run)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        _exit(run());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_port_is_asked_however_few_descriptors_there_are(void **state) {
    (void)state;
    assert_int_equal(in_child(probe_with_few_descriptors), 0);
}

static int raise_soft_limit(void) {
    struct probe_port ports[200];
    for (size_t i = 0; i < 200; i++) {
        ports[i] = (struct probe_port){.port = 1, .timeout_ms = 50};
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < 1024) {
        return SKIPPED;
    }
    files.rlim_cur = 300;
    setrlimit(RLIMIT_NOFILE, &files);
    ask(ports, 10);
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur != 300) {
        return 1;
    }
    ask(ports, 200);
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur == 400 + 256 ? 0 : 2;
}

static void soft_limit_is_raised_only_when_so_many_ports_need_it(void **state) {
    (void)state;
    int rc = in_child(raise_soft_limit);
    if (rc == SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

/* A network of its own, in which the kernel has one port to choose as ours: the one we ask for. */
static int probe_own_port(void) {
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return SKIPPED;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int range = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
    const char text[] = "40000 40000";
    if (ioctl(fd, SIOCSIFFLAGS, &up) != 0 || write(range, text, sizeof text - 1) < 0) {
        return SKIPPED;
    }
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(EPHEMERAL),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int echo = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(echo, (struct sockaddr *)&at, sizeof at) != 0) {
        return SKIPPED; /* this kernel does not connect a socket with itself */
    }
    struct linger reset = {1, 0};
    setsockopt(echo, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(echo);
    struct probe_port port = {.port = EPHEMERAL, .timeout_ms = 200};
    return ask(&port, 1) == 1 && port.error == -ECONNREFUSED ? 0 : 1;
}

static void connection_with_itself_is_no_open_port(void **state) {
    (void)state;
    int rc = in_child(probe_own_port);
    if (rc == SKIPPED) {
        print_message("no network namespace here: not tested\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_port_is_asked_however_few_descriptors_there_are),
        cmocka_unit_test(soft_limit_is_raised_only_when_so_many_ports_need_it),
        cmocka_unit_test(connection_with_itself_is_no_open_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
