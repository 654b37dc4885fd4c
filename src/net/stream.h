/* An outgoing TCP connection on the loop: a deadline for whatever is awaited, what is written
 * within one turn of the loop leaves with one system call, bounded memory for what the peer doesn't
 * take. */
#ifndef AGENT_NET_STREAM_H
#define AGENT_NET_STREAM_H

#include <stdbool.h>
#include <uv.h>

#include "net/filter.h"
#include "util/buffer.h"

enum { STREAM_FILTERS = 2 };

struct stream;

/* Each is called from the loop with the owner given to stream_open(); none after `closed`. */
struct stream_events {
    void (*connected)(void *owner);
    void (*received)(void *owner, const char *bytes, size_t n); /* bytes live during the call */
    void (*expired)(void *owner);                               /* of stream_deadline() */
    void (*ended)(void *owner, int error); /* UV_EOF or another; the owner closes the stream now */
    void (*closed)(void *owner);           /* after stream_close(): the memory may be freed */
};

struct stream {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_prepare_t flusher;
    uv_connect_t connecting;
    uv_write_t write;
    struct buffer unsent;  /* gathered in this turn, as it goes to the peer; owned */
    struct buffer writing; /* what libuv holds until the peer takes it; owned */
    struct buffer plain;   /* gathered in this turn for the filters; owned */
    struct filter *filters[STREAM_FILTERS]; /* the one next to the peer first; owned */
    int n_filters;
    const struct filter *failed_filter;
    size_t max_unsent;
    size_t lowat_wanted;
    size_t lowat_set;
    const struct stream_events *events;
    void *owner;
    int failed; /* connecting failed at once; told by the timer */
    int handles;
    bool last_chance; /* the deadline has passed, and the loop reads once more */
    bool connected;
    bool told;   /* `connected` was called */
    bool busy;   /* `writing` is on its way */
    bool broken; /* a write failed; reading will tell the end, after what the peer said last */
    bool closing;
    char inbox[4096];
};

/* "10.0.0.1" or "::1" and a port to an address. 0 or UV_EINVAL. */
int stream_address(const char *ip, int port, struct sockaddr_storage *address);

/* Begins to connect; `s` is memory of the owner until `closed`. Every failure comes as `ended`. */
void stream_open(struct stream *s, uv_loop_t *loop, const struct sockaddr_storage *address,
                 const struct stream_events *events, void *owner, size_t max_unsent);

/* From now on all passes through the filter, which becomes the stream's; it lies above those that
 * are there. Before `connected`: that comes when the filter's handshake is done. Later: the filter
 * begins its handshake with the next flush; bytes that were received already and belong to the new
 * filter are given with stream_refeed(). */
void stream_filter(struct stream *s, struct filter *f);

/* Hands bytes to the uppermost filter as if they had been received just now; `received` or `ended`
 * may be called before this returns. */
void stream_refeed(struct stream *s, const char *bytes, size_t n);

/* The filter that made the stream end, or NULL: its class' code and its sentence tell more than the
 * error. */
const struct filter *stream_failed_filter(const struct stream *s);

/* Where to append what shall be sent; its cap is what may still wait. Call stream_flush_later()
 * after. */
struct buffer *stream_unsent(struct stream *s);

/* Everything appended in this turn of the loop is written before the loop waits again. */
void stream_flush_later(struct stream *s);

/* `expired` is called once after `ms`, unless another deadline is set before. */
void stream_deadline(struct stream *s, uint64_t ms);
void stream_no_deadline(struct stream *s);

/* The loop needs to wake for this stream only when so many bytes are there (SO_RCVLOWAT), or its
 * end. Takes effect with the next flush or after `received`; 1 is the normal state, and the only
 * one with filters, of which nobody knows how many bytes theirs become. */
void stream_expect(struct stream *s, size_t bytes);

/* Closes everything at once, dropping what is unsent; `closed` comes later from the loop. May be
 * repeated. */
void stream_close(struct stream *s);

#endif
