/* TLS as a filter, over OpenSSL and memory: for connections in both roles. Reads no file: keys and
 * certificates come as PEM text. TLS 1.2 and 1.3, no renegotiation. Knows no Lua. */
#ifndef AGENT_TLS_ENGINE_H
#define AGENT_TLS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/filter.h"

struct tls_text {
    const char *data; /* NULL: none */
    size_t len;
};

struct tls_options {
    bool server;
    struct tls_text ca;   /* who is trusted. A client needs it; a server that has it demands a
                             certificate of its clients */
    struct tls_text cert; /* ours, the chain behind it. A server needs it */
    struct tls_text key;  /* its key; NULL: it is in `cert` */
};

struct tls_context;

/* NULL: `why` says what was wrong, in at most why_len - 1 bytes. */
struct tls_context *tls_context_open(const struct tls_options *options, char *why, size_t why_len);

/* Filters made from it live on; NULL is fine. */
void tls_context_close(struct tls_context *context);

/* A connection. `name`: what the peer's certificate must be for, a DNS name or an IP address; a
 * client needs it, for a server it means nothing. NULL: no memory, or not a usable name. */
struct filter *tls_filter(struct tls_context *context, const char *name);

#endif
