#include "net/stream.h"

#include <string.h>
#include <sys/socket.h>

enum {
    KEEP_CAPACITY = 16 * 1024,    /* between turns; an idle agent weighs little */
    UNFILTERED_MAX = 1024 * 1024, /* what 4 KiB that are received may become */
    OVERHEAD = 64 * 1024,         /* what filters add: 1/64 and this */
    PORTION = 1024 * 1024         /* filtered in one turn: compressing takes its time */
};

int stream_address(const char *ip, int port, struct sockaddr_storage *address) {
    memset(address, 0, sizeof *address);
    if (port < 1 || port > 65535) {
        return UV_EINVAL;
    }
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)address) == 0) {
        return 0;
    }
    return uv_ip6_addr(ip, port, (struct sockaddr_in6 *)address);
}

static void apply_lowat(struct stream *s) {
    uv_os_fd_t fd;
    if (s->lowat_wanted == s->lowat_set || uv_fileno((uv_handle_t *)&s->tcp, &fd) != 0) {
        return;
    }
    int value = (int)s->lowat_wanted;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value) == 0) {
        s->lowat_set = s->lowat_wanted;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    struct stream *s = handle->data;
    *buf = uv_buf_init(s->inbox, sizeof s->inbox);
}

static void give_up(struct stream *s, const struct filter *f);
static enum filter_state seal(struct stream *s);

/* What the filter at `level` wants to be sent goes through those between it and the peer. */
static bool send_below(struct stream *s, int level, const struct buffer *wire) {
    if (level == 0) {
        return buffer_append(&s->unsent, wire->data, wire->len);
    }
    struct filter *below = s->filters[level - 1];
    struct buffer out;
    buffer_init(&out, s->max_unsent);
    bool fine = below->class->send(below, wire->data, wire->len, &out) != FILTER_FAILED &&
                send_below(s, level - 1, &out);
    buffer_free(&out);
    return fine;
}

static void deliver(struct stream *s, int level, const char *bytes, size_t n);

static void tell_connected(struct stream *s) {
    if (!s->told) {
        s->told = true;
        s->events->connected(s->owner);
    }
}

/* One filter takes what the one below it gave. */
static void pass(struct stream *s, int level, const char *bytes, size_t n) {
    struct filter *f = s->filters[level];
    struct buffer plain;
    struct buffer wire;
    buffer_init(&plain, UNFILTERED_MAX);
    buffer_init(&wire, s->max_unsent);
    enum filter_state state = f->class->receive(f, bytes, n, &plain, &wire);
    if (wire.len) {
        send_below(s, level, &wire);
        stream_flush_later(s);
    }
    if (state == FILTER_FAILED) {
        give_up(s, f);
    } else {
        if (state != FILTER_BUSY) {
            tell_connected(s);
        }
        if (plain.len && !s->closing) {
            deliver(s, level + 1, plain.data, plain.len);
        }
        if (state == FILTER_ENDED && !s->closing) {
            uv_read_stop((uv_stream_t *)&s->tcp);
            s->events->ended(s->owner, UV_EOF);
        }
    }
    buffer_free(&plain);
    buffer_free(&wire);
}

static void deliver(struct stream *s, int level, const char *bytes, size_t n) {
    if (level < s->n_filters) {
        pass(s, level, bytes, n);
    } else {
        s->events->received(s->owner, bytes, n);
    }
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf) {
    struct stream *s = tcp->data;
    if (s->closing || n == 0) {
        return;
    }
    if (n < 0) {
        uv_read_stop(tcp);
        s->events->ended(s->owner, (int)n);
        return;
    }
    deliver(s, 0, buf->base, (size_t)n);
    if (!s->closing) {
        apply_lowat(s);
    }
}

static void on_connect(uv_connect_t *request, int status) {
    struct stream *s = request->data;
    if (s->closing) {
        return;
    }
    if (status == 0) {
        status = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
    }
    if (status != 0) {
        s->events->ended(s->owner, status);
        return;
    }
    s->connected = true;
    uv_tcp_nodelay(&s->tcp, 1);
    enum filter_state state = s->n_filters ? seal(s) : FILTER_OPEN;
    if (state == FILTER_OPEN) {
        tell_connected(s);
    }
}

/* Timers run before input is read: after a stall of the loop the answer may be there already, or
 * too short to have woken it. So the loop reads once more before a deadline counts as passed. */
static void on_timer(uv_timer_t *timer) {
    struct stream *s = timer->data;
    if (s->failed) {
        s->events->ended(s->owner, s->failed);
    } else if (s->last_chance) {
        s->events->expired(s->owner);
    } else {
        s->last_chance = true;
        s->lowat_wanted = 1;
        stream_flush_later(s);
    }
}

static void start_write(struct stream *s, size_t written);

static void on_written(uv_write_t *request, int status) {
    struct stream *s = request->data;
    buffer_free(&s->writing);
    s->busy = false;
    s->unsent.max = s->max_unsent;
    if (s->closing) {
        return;
    }
    if (status != 0) {
        s->broken = true;
    } else if (s->unsent.len) {
        start_write(s, 0);
    } else if (s->plain.len) {
        stream_flush_later(s);
    }
}

/* The buffer, of which `written` bytes have left already, becomes libuv's; a new one takes its
 * place. */
static void start_write(struct stream *s, size_t written) {
    s->writing = s->unsent;
    buffer_init(&s->unsent, s->max_unsent - s->writing.len);
    uv_buf_t rest = uv_buf_init(s->writing.data + written, (unsigned)(s->writing.len - written));
    s->busy = true;
    if (uv_write(&s->write, (uv_stream_t *)&s->tcp, &rest, 1, on_written) != 0) {
        s->busy = false;
        s->broken = true;
        buffer_free(&s->writing);
    }
}

static void write_now(struct stream *s) {
    uv_buf_t all = uv_buf_init(s->unsent.data, (unsigned)s->unsent.len);
    int n = uv_try_write((uv_stream_t *)&s->tcp, &all, 1);
    if (n < 0 && n != UV_EAGAIN) {
        s->broken = true;
        buffer_free(&s->unsent);
    } else if (n == (int)s->unsent.len) {
        s->unsent.len = 0;
        if (s->unsent.cap > KEEP_CAPACITY) {
            buffer_free(&s->unsent);
        }
    } else {
        start_write(s, n > 0 ? (size_t)n : 0);
    }
}

/* A filter failed: what it has to say to the peer leaves if it can, then the stream is over. */
static void give_up(struct stream *s, const struct filter *f) {
    if (s->closing || s->failed_filter) {
        return;
    }
    s->failed_filter = f;
    if (s->unsent.len && !s->busy && !s->broken) {
        write_now(s);
    }
    s->broken = true;
    uv_read_stop((uv_stream_t *)&s->tcp);
    s->events->ended(s->owner, UV_EPROTO);
}

/* A portion of `plain` goes down through the filters; with nothing there a handshake begins. */
static enum filter_state seal(struct stream *s) {
    struct filter *top = s->filters[s->n_filters - 1];
    size_t n = s->plain.len < PORTION ? s->plain.len : PORTION;
    struct buffer wire;
    buffer_init(&wire, s->max_unsent);
    enum filter_state state = top->class->send(top, s->plain.data, n, &wire);
    if (!send_below(s, s->n_filters - 1, &wire)) {
        state = FILTER_FAILED;
    }
    buffer_free(&wire);
    buffer_consume(&s->plain, n);
    if (!s->plain.len && s->plain.cap > KEEP_CAPACITY) {
        buffer_free(&s->plain);
    }
    if (state == FILTER_FAILED) {
        give_up(s, top);
    } else {
        stream_flush_later(s);
    }
    return state;
}

static void on_prepare(uv_prepare_t *flusher) {
    struct stream *s = flusher->data;
    uv_prepare_stop(flusher);
    if (s->last_chance && !s->closing && !uv_is_active((uv_handle_t *)&s->timer)) {
        uv_timer_start(&s->timer, on_timer, 1, 0);
    }
    if (!s->connected || s->closing || s->broken) {
        return;
    }
    apply_lowat(s);
    if (s->plain.len && !s->busy && seal(s) == FILTER_FAILED) {
        return;
    }
    if (s->unsent.len && !s->busy && s->plain.len) {
        start_write(s, 0); /* the next portion follows when it is done, in another turn */
    } else if (s->unsent.len && !s->busy) {
        write_now(s);
    }
}

void stream_open(struct stream *s, uv_loop_t *loop, const struct sockaddr_storage *address,
                 const struct stream_events *events, void *owner, size_t max_unsent) {
    memset(s, 0, offsetof(struct stream, inbox));
    buffer_init(&s->unsent, max_unsent);
    s->max_unsent = max_unsent;
    s->lowat_wanted = s->lowat_set = 1;
    s->events = events;
    s->owner = owner;
    s->handles = 3;
    uv_tcp_init(loop, &s->tcp);
    uv_timer_init(loop, &s->timer);
    uv_prepare_init(loop, &s->flusher);
    s->tcp.data = s->timer.data = s->flusher.data = s->connecting.data = s->write.data = s;
    s->failed =
        uv_tcp_connect(&s->connecting, &s->tcp, (const struct sockaddr *)address, on_connect);
    if (s->failed) {
        uv_timer_start(&s->timer, on_timer, 0, 0);
    }
}

/* The peer may have answered what libuv wrote at once but tells of later: it weighs nothing then.
 */
struct buffer *stream_unsent(struct stream *s) {
    if (s->busy && uv_stream_get_write_queue_size((uv_stream_t *)&s->tcp) == 0) {
        s->unsent.max = s->max_unsent;
    }
    return s->n_filters ? &s->plain : &s->unsent;
}

void stream_filter(struct stream *s, struct filter *f) {
    if (s->n_filters == 0) {
        buffer_init(&s->plain, s->max_unsent);
        s->max_unsent += s->max_unsent / 64 + OVERHEAD;
        s->unsent.max = s->max_unsent - s->writing.len;
    }
    s->lowat_wanted = 1;
    while (s->plain.len && !s->closing && seal(s) != FILTER_FAILED) {
    }
    s->filters[s->n_filters++] = f;
    if (s->connected && !s->closing) {
        seal(s);
    }
}

void stream_refeed(struct stream *s, const char *bytes, size_t n) {
    if (n && !s->closing) {
        pass(s, s->n_filters - 1, bytes, n);
    }
}

const struct filter *stream_failed_filter(const struct stream *s) {
    return s->failed_filter;
}

void stream_flush_later(struct stream *s) {
    if (!s->closing && !uv_is_active((uv_handle_t *)&s->flusher)) {
        uv_prepare_start(&s->flusher, on_prepare);
    }
}

void stream_deadline(struct stream *s, uint64_t ms) {
    if (!s->closing && !s->failed) {
        s->last_chance = false;
        uv_timer_start(&s->timer, on_timer, ms, 0);
    }
}

void stream_no_deadline(struct stream *s) {
    if (!s->closing && !s->failed) {
        s->last_chance = false;
        uv_timer_stop(&s->timer);
    }
}

void stream_expect(struct stream *s, size_t bytes) {
    s->lowat_wanted = bytes && !s->n_filters ? bytes : 1;
}

static void on_closed(uv_handle_t *handle) {
    struct stream *s = handle->data;
    if (--s->handles == 0) {
        buffer_free(&s->unsent);
        buffer_free(&s->writing);
        buffer_free(&s->plain);
        for (int i = 0; i < s->n_filters; i++) {
            s->filters[i]->class->free(s->filters[i]);
        }
        s->events->closed(s->owner);
    }
}

/* What the filters say last leaves if the peer takes it at once. */
static void say_goodbye(struct stream *s) {
    if (!s->connected || s->busy || s->broken || s->failed_filter) {
        return;
    }
    for (int i = s->n_filters - 1; i >= 0; i--) {
        struct buffer wire;
        buffer_init(&wire, s->max_unsent);
        s->filters[i]->class->finish(s->filters[i], &wire);
        send_below(s, i, &wire);
        buffer_free(&wire);
    }
    if (s->unsent.len) {
        uv_buf_t all = uv_buf_init(s->unsent.data, (unsigned)s->unsent.len);
        uv_try_write((uv_stream_t *)&s->tcp, &all, 1);
    }
}

void stream_close(struct stream *s) {
    if (s->closing) {
        return;
    }
    if (s->n_filters) {
        say_goodbye(s);
    }
    s->closing = true;
    uv_close((uv_handle_t *)&s->tcp, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    uv_close((uv_handle_t *)&s->flusher, on_closed);
}
