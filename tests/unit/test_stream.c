#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/stream.h"

enum { MAX_UNSENT = 100, REQUEST = 80 };

struct client {
    struct stream stream;
    uv_loop_t loop;
    uv_prepare_t peer;
    int listening;
    int accepted; /* -1: not yet */
    bool answered;
    bool fitted;
    bool closed;
};

/* Instead of libuv's (see the Makefile): the kernel takes nothing now, so the rest is left to
 * uv_write(), for which a moment later it has room for all. */
int __wrap_uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned int nbufs);
int __wrap_uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned int nbufs) {
    (void)handle;
    (void)bufs;
    (void)nbufs;
    return UV_EAGAIN;
}

static bool send_request(struct client *c) {
    char request[REQUEST] = {0};
    bool fits = buffer_append(stream_unsent(&c->stream), request, sizeof request);
    stream_flush_later(&c->stream);
    return fits;
}

static void on_connected(void *owner) {
    assert_true(send_request(owner));
}

static void on_received(void *owner, const char *bytes, size_t n) {
    struct client *c = owner;
    assert_memory_equal(bytes, "OK", n);
    assert_true(c->stream.busy); /* else the test shows nothing */
    c->fitted = send_request(c);
    c->answered = true;
    stream_close(&c->stream);
}

static void on_expired(void *owner) {
    stream_close(&((struct client *)owner)->stream);
}

static void on_ended(void *owner, int error) {
    (void)error;
    stream_close(&((struct client *)owner)->stream);
}

static void on_closed(void *owner) {
    struct client *c = owner;
    c->closed = true;
    uv_close((uv_handle_t *)&c->peer, NULL);
}

static const struct stream_events events = {
    .connected = on_connected,
    .received = on_received,
    .expired = on_expired,
    .ended = on_ended,
    .closed = on_closed,
};

/* Runs after the stream's flush in the same turn: the peer has it all and answers, before libuv
 * gets to tell that it was written. */
static void answer_at_once(uv_prepare_t *peer) {
    struct client *c = peer->data;
    char request[REQUEST];
    if (c->accepted < 0) {
        c->accepted = accept4(c->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    if (c->accepted >= 0 && recv(c->accepted, request, sizeof request, 0) == REQUEST) {
        assert_int_equal(2, send(c->accepted, "OK", 2, MSG_NOSIGNAL));
    }
}

static int listen_somewhere(struct sockaddr_in *address) {
    socklen_t len = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)address, len));
    assert_int_equal(0, listen(fd, 1));
    assert_int_equal(0, getsockname(fd, (struct sockaddr *)address, &len));
    return fd;
}

static void takes_the_next_request_when_the_peer_has_answered_the_one_before(void **state) {
    (void)state;
    static struct client c;
    struct sockaddr_in address;
    c.accepted = -1;
    c.listening = listen_somewhere(&address);
    uv_loop_init(&c.loop);
    uv_prepare_init(&c.loop, &c.peer);
    c.peer.data = &c;
    uv_prepare_start(&c.peer, answer_at_once);
    struct sockaddr_storage there = {0};
    memcpy(&there, &address, sizeof address);
    stream_open(&c.stream, &c.loop, &there, &events, &c, MAX_UNSENT);
    stream_deadline(&c.stream, 5000);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    assert_true(c.answered);
    assert_true(c.fitted);
    assert_true(c.closed);
    close(c.accepted);
    close(c.listening);
    assert_int_equal(0, uv_loop_close(&c.loop));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_next_request_when_the_peer_has_answered_the_one_before),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
