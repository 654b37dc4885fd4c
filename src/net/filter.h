/* What may stand between a connection and its owner: TLS, compression. A filter works on memory
 * alone, bytes in, bytes out; it knows no socket and no loop. Filters come from modules that are
 * loaded only when the configuration asks for them, hence the tables of functions. */
#ifndef AGENT_NET_FILTER_H
#define AGENT_NET_FILTER_H

#include <stddef.h>

#include "util/buffer.h"

enum filter_state {
    FILTER_FAILED, /* `why` says it; only free() may follow */
    FILTER_BUSY,   /* the handshake goes on; what is sent meanwhile waits in the filter */
    FILTER_OPEN,
    FILTER_ENDED, /* the peer said that it sends no more */
};

struct filter;

struct filter_class {
    const char *code; /* of its failures, such as "ETLS" */

    /* Takes all of n bytes that the peer sent: appends what they say to `plain`, and what the
     * filter itself has to answer to `wire`. */
    enum filter_state (*receive)(struct filter *f, const char *bytes, size_t n,
                                 struct buffer *plain, struct buffer *wire);

    /* Appends the form in which n bytes are sent to `wire`. With n = 0 the handshake begins, if the
     * filter has one and the beginning is its. */
    enum filter_state (*send)(struct filter *f, const char *bytes, size_t n, struct buffer *wire);

    /* Appends what tells the peer that nothing more comes. Only free() may follow. */
    void (*finish)(struct filter *f, struct buffer *wire);

    void (*free)(struct filter *f);
};

/* The beginning of every filter. */
struct filter {
    const struct filter_class *class;
    char why[192]; /* a sentence, after FILTER_FAILED */
};

/* Makes filters of one configuration: what the Lua values of such modules hold. */
struct filter_maker {
    /* A filter for one connection, owned by the caller, which may outlive the maker. `name`: who
     * the peer must be, NULL where that means nothing. NULL: no memory, or not a usable name. */
    struct filter *(*make)(struct filter_maker *m, const char *name);
    void (*free)(struct filter_maker *m); /* what it holds, not its own memory */
};

#endif
