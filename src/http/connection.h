/* Between server.c and connection.c only. */
#ifndef AGENT_HTTP_CONNECTION_H
#define AGENT_HTTP_CONNECTION_H

#include <time.h>

#include "http/prepared.h"
#include "http/server.h"

enum {
    HTTP_READ_MAX = 64 * 1024,
    HTTP_FILTER_MEMORY = 48 * 1024, /* of TLS for one connection, about */
};

enum http_state {
    HTTP_IDLE,   /* between requests */
    HTTP_HEAD,   /* a head has begun */
    HTTP_BODY,   /* a body is being read */
    HTTP_ANSWER, /* the handler has it */
    HTTP_WRITE,  /* the answer didn't fit into the socket at once */
    HTTP_STREAM, /* an answer goes out piece by piece */
    HTTP_LINGER, /* the last answer is out: waiting for the client to close */
    HTTP_CLOSED,
};

struct http_connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } peer;
    struct http_server *server;
    struct http_connection *next, *previous;
    struct filter *filter; /* owned; NULL: plain */
    struct http_request request;
    struct buffer rest; /* read, but behind the request that is being answered */
    enum http_state state;
    uint64_t since;    /* in its state, uv_now() milliseconds */
    uint64_t deadline; /* of its state, likewise */
    struct http_reply *reply;
    size_t held;    /* bytes counted in server->counters.memory for this one */
    size_t in_hand; /* bytes of the body that the handler has got */
    unsigned served;
    const char
        *raw; /* the request's bytes as they came, if in one piece; during the handler only */
    size_t raw_len;
    bool reading;
    bool pumping;
    bool more;      /* has its turn again in the next round of the loop */
    bool head_only; /* the request was a HEAD */
    bool chunked;   /* the pieces of a stream are */
    bool keep_alive;
    uv_write_t write;
    char *writing; /* owned: what is under way by `write` */
    uv_shutdown_t shutdown;
};

struct http_server {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } listener;
    uv_timer_t clock;   /* looks at the deadlines; runs while there are connections */
    uv_idle_t turns;    /* runs while connections have `more` */
    uint64_t looked_at; /* uv_now() of the last look at the deadlines */
    int open_handles;   /* of the three above: freed at zero */
    bool listening;
    bool closing;
    bool postponed;   /* a new connection waits to be accepted in the next turn */
    bool more;        /* some connection has */
    unsigned looks;   /* at the sockets to come before the loop may sleep */
    uint64_t busy_at; /* uv_now() of the last prepared answer */
    unsigned accepts; /* in this turn of the loop */
    struct http_limits limits;
    struct http_counters counters;
    struct http_connection *first;
    http_handler handler;
    void *user;
    char *path; /* owned: the unix socket's */
    uint64_t socket_device, socket_inode;
    uint64_t second, second_at; /* of the wall clock, and the turn it was read in */
    time_t date_of;
    char date[40];
    struct filter_maker *maker; /* borrowed; NULL: connections are plain */
    struct http_prepared prepared;
    char *read_buffer;     /* owned; libuv's reads are handled before the next one begins */
    struct buffer headers; /* the head of the answer that is being composed */
};

void http_connection_open(struct http_server *s);
void http_connection_close(struct http_connection *c);
void http_connection_resume(struct http_connection *c);
/* Brings the server's sum up to what this connection holds now. */
void http_connection_count(struct http_connection *c);
void http_connection_enter(struct http_connection *c, enum http_state state);
/* wire.c: sends bytes as they are to go out; what the socket doesn't take now waits. false: the
 * connection is closed now. */
bool http_wire_send(struct http_connection *c, const char *bytes, size_t n);
/* wire.c: the same through the connection's filter, if it has one. */
bool http_wire_seal(struct http_connection *c, const char *bytes, size_t n);
/* wire.c: whether nothing waits. */
bool http_wire_empty(const struct http_connection *c);
/* wire.c: what the filter says last. */
void http_wire_finish(struct http_connection *c);
/* wire.c: what the filter makes of received bytes into `plain`, which the caller frees. false: the
 * connection is closed now; `ended`: the client sends no more. */
bool http_wire_open(struct http_connection *c, const char *bytes, size_t n, struct buffer *plain,
                    bool *ended);
/* The answer is out as a whole. */
void http_connection_answered(struct http_connection *c);
/* What is to be done at the deadline of its state. */
void http_connection_expire(struct http_connection *c);

/* Calls http_connection_resume() for whoever has `more` in the next round of the loop. */
void http_server_turn_again(struct http_server *s);
/* A prepared answer was given: who asks at such a rate asks again within microseconds, and going to
 * sleep and waking up would take longer than looking a few times. */
void http_server_stay_awake(struct http_server *s);
/* write.c: see http_reply_send(); what is `keep_ms`: http_reply_keep(). */
void http_connection_answer(struct http_connection *c, int status, const char *headers,
                            size_t headers_len, const char *body, size_t body_len,
                            unsigned keep_ms);
/* write.c: answers with what is prepared for these very bytes; 0: nothing is, or how many of them
 * were used. */
size_t http_connection_answer_prepared(struct http_connection *c, const char *bytes, size_t n);

/* listen.c: makes the socket at `path`, in place of one nobody listens on. fd or -errno. */
int http_listen_unix(const char *path, const char **why);

/* answer.c: seconds of the wall clock, as of this turn of the loop. */
uint64_t http_answer_second(struct http_server *s);
/* answer.c: the status line and the server's own headers into s->headers. `length` is
 * HTTP_LENGTH_CHUNKED or HTTP_LENGTH_UNKNOWN for a stream. */
#define HTTP_LENGTH_CHUNKED ((size_t)-1)
#define HTTP_LENGTH_UNKNOWN ((size_t)-2)
bool http_answer_head(struct http_server *s, int status, bool keep_alive, int minor,
                      const char *headers, size_t headers_len, size_t length);

#endif
