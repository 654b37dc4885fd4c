/* What the two halves of the engine share. */
#ifndef AGENT_TLS_CONTEXT_H
#define AGENT_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "tls/engine.h"

struct tls_context {
    SSL_CTX *ssl;
    bool server;
};

#endif
