/* An HTTP/1 server on one TCP address or one unix socket, on a libuv loop; knows no Lua.
 *
 * A connection works on one request at a time: the next one of a pipeline is read after the answer
 * to this one has gone out, so answers are in order and a slow client only slows itself. */
#ifndef AGENT_HTTP_SERVER_H
#define AGENT_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "http/parser.h"
#include "net/filter.h"

struct http_server;
struct http_connection;

struct http_limits {
    unsigned connections; /* beyond it the one that waits longest for its client is dropped */
    unsigned requests;    /* on one connection, then it is closed */
    size_t body;          /* bytes of one body */
    size_t memory;        /* bytes held for all clients together */
    unsigned idle_ms;     /* between two requests */
    unsigned head_ms;     /* from the first byte of a head to its last */
    unsigned body_ms;     /* for the whole body */
    unsigned answer_ms;   /* for the handler */
    unsigned write_ms;    /* for the client to take the whole answer */
    unsigned linger_ms;   /* for the client to close after the last answer */
};

enum { HTTP_STREAM_MAX = 256 * 1024 };

extern const struct http_limits http_default_limits;

struct http_counters {
    unsigned connections; /* open now */
    size_t memory;        /* bytes held now */
    uint64_t accepted;
    uint64_t requests; /* answered, by the handler or with what it had prepared */
    uint64_t refused;  /* answered by the server itself: malformed, too large, too slow */
    uint64_t dropped;  /* closed to make room, or because the client didn't take its answer */
};

/* What ties a request to its answer; owned by the handler's side, which must keep it where it is
 * until it was answered, or until http_reply_drop(). */
struct http_reply {
    struct http_connection *connection; /* NULL: answered, or the client is gone */
    /* May be set on a stream; called once when its client goes before http_reply_finish(). */
    void (*on_gone)(struct http_reply *r);
    unsigned keep_ms; /* of the answer to come, see http_reply_keep() */
};

/* Called once for every request; valid during the call only, except what was attached. The handler
 * either calls http_reply_attach() and answers at once or later, or the client gets a 500. */
typedef void (*http_handler)(void *user, struct http_connection *c,
                             const struct http_request *request);

/* NULL: out of memory. `user` goes to every call of the handler. */
struct http_server *http_server_new(uv_loop_t *loop, const struct http_limits *limits,
                                    http_handler handler, void *user);

/* From now on new connections speak through filters of this maker (TLS), NULL: none. It is borrowed
 * until the server is closed or has another. */
void http_server_filter(struct http_server *s, struct filter_maker *maker);

/* Begins to listen. 0 or a negative libuv error; `why` then says which step failed. */
int http_server_listen_tcp(struct http_server *s, const char *ip, int port, const char **why);
int http_server_listen_unix(struct http_server *s, const char *path, const char **why);

/* The port that was bound (for port 0), 0 on a unix socket. */
int http_server_port(const struct http_server *s);

/* Stops listening, drops every connection, removes the unix socket. Frees `s` once libuv has let go
 * of it; neither it nor its handler may be used afterwards. */
void http_server_close(struct http_server *s);

struct http_counters http_server_counters(const struct http_server *s);

void http_reply_attach(struct http_reply *r, struct http_connection *c);

/* Answers. `headers` are complete lines ("Name: value\r\n"); the length, the date and the
 * connection's fate are added here. false: the client is gone, or it was answered before. */
bool http_reply_send(struct http_reply *r, int status, const char *headers, size_t headers_len,
                     const char *body, size_t body_len);

/* To be called before http_reply_send(), from within the handler: whoever sends the very same bytes
 * within `ms` gets the same answer without a call of the handler, until http_server_forget(). Not
 * for HEAD, nor where the request came in pieces or with a body; then this does nothing. */
void http_reply_keep(struct http_reply *r, unsigned ms);
void http_server_forget(struct http_server *s);

/* Answers with a body whose length isn't known yet, in pieces until http_reply_finish(): chunked,
 * to HTTP/1.0 until the connection is closed. It is the connection's last answer. A client that
 * lets more than HTTP_STREAM_MAX bytes wait is dropped. All three: false where the client is gone,
 * or the answer is out already. */
bool http_reply_stream(struct http_reply *r, int status, const char *headers, size_t headers_len);
bool http_reply_write(struct http_reply *r, const char *bytes, size_t n);
bool http_reply_finish(struct http_reply *r);

/* The socket of the client, to be asked who it is; -1 when it is gone. */
int http_reply_fd(const struct http_reply *r);

/* The handler's side lets go without an answer: the client gets a 500, or the end of its stream. */
void http_reply_drop(struct http_reply *r);

#endif
