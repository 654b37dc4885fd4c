#include "tls/engine.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/context.h"

enum {
    PIECE = 16 * 1024,              /* of a record: OpenSSL's memory stays small */
    WAITING_MAX = 16 * 1024 * 1024, /* sent before the handshake is done */
};

struct engine {
    struct filter filter;
    SSL *ssl;
    BIO *in;  /* owned by ssl, as is `out` */
    BIO *out; /* what is to go to the peer */
    bool done;
    struct buffer waiting; /* to be sent after the handshake; owned */
};

static enum filter_state fail(struct engine *e, const char *why) {
    snprintf(e->filter.why, sizeof e->filter.why, "%s", why);
    return FILTER_FAILED;
}

/* What OpenSSL thinks of it; the reason why a certificate was refused tells most. */
static enum filter_state fail_ssl(struct engine *e) {
    long verdict = SSL_get_verify_result(e->ssl);
    unsigned long error = ERR_peek_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    if (verdict != X509_V_OK) {
        snprintf(e->filter.why, sizeof e->filter.why, "the peer's certificate is refused: %s",
                 X509_verify_cert_error_string(verdict));
    } else {
        snprintf(e->filter.why, sizeof e->filter.why, "TLS: %s", reason ? reason : "broken off");
    }
    ERR_clear_error();
    return FILTER_FAILED;
}

/* Moves what OpenSSL wants to be sent. */
static bool drain(struct engine *e, struct buffer *wire) {
    char piece[4096];
    int n;
    while ((n = BIO_read(e->out, piece, sizeof piece)) > 0) {
        if (!buffer_append(wire, piece, (size_t)n)) {
            return false;
        }
    }
    return true;
}

static enum filter_state encrypt(struct engine *e, const char *bytes, size_t n,
                                 struct buffer *wire) {
    while (n) {
        int take = n < PIECE ? (int)n : PIECE;
        int written = SSL_write(e->ssl, bytes, take);
        if (written <= 0) {
            return fail_ssl(e);
        }
        bytes += written;
        n -= (size_t)written;
        if (!drain(e, wire)) {
            return fail(e, "more to be sent than there is room for");
        }
    }
    return FILTER_OPEN;
}

/* Goes on with the handshake as far as what was received allows. */
static enum filter_state shake_hands(struct engine *e, struct buffer *wire) {
    if (e->done) {
        return FILTER_OPEN;
    }
    int rc = SSL_do_handshake(e->ssl);
    int error = SSL_get_error(e->ssl, rc);
    bool room = drain(e, wire);
    if (rc != 1 && error != SSL_ERROR_WANT_READ) {
        return fail_ssl(e);
    }
    if (!room) {
        return fail(e, "no room for the handshake");
    }
    if (rc != 1) {
        return FILTER_BUSY;
    }
    e->done = true;
    enum filter_state state = encrypt(e, e->waiting.data, e->waiting.len, wire);
    buffer_free(&e->waiting);
    return state;
}

static enum filter_state decrypt(struct engine *e, struct buffer *plain) {
    for (;;) {
        if (!buffer_reserve(plain, PIECE)) {
            return fail(e, "more at once than there is room for");
        }
        int n = SSL_read(e->ssl, plain->data + plain->len, PIECE);
        if (n > 0) {
            plain->len += (size_t)n;
            continue;
        }
        switch (SSL_get_error(e->ssl, n)) {
        case SSL_ERROR_WANT_READ:
            return FILTER_OPEN;
        case SSL_ERROR_ZERO_RETURN:
            return FILTER_ENDED;
        default:
            return fail_ssl(e);
        }
    }
}

static enum filter_state on_receive(struct filter *f, const char *bytes, size_t n,
                                    struct buffer *plain, struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    ERR_clear_error();
    if (n > PIECE * 64 || (n && BIO_write(e->in, bytes, (int)n) != (int)n)) {
        return fail(e, "no memory for what was received");
    }
    enum filter_state state = shake_hands(e, wire);
    if (state != FILTER_OPEN) {
        return state;
    }
    state = decrypt(e, plain);
    return drain(e, wire) ? state : fail(e, "no room for an answer");
}

static enum filter_state on_send(struct filter *f, const char *bytes, size_t n,
                                 struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    ERR_clear_error();
    if (e->done) {
        return encrypt(e, bytes, n, wire);
    }
    if (!buffer_append(&e->waiting, bytes, n)) {
        return fail(e, "more to be sent than there is room for");
    }
    return shake_hands(e, wire);
}

static void on_finish(struct filter *f, struct buffer *wire) {
    struct engine *e = (struct engine *)f;
    if (e->done) {
        ERR_clear_error();
        SSL_shutdown(e->ssl);
        ERR_clear_error();
        drain(e, wire);
    }
}

static void on_free(struct filter *f) {
    struct engine *e = (struct engine *)f;
    SSL_free(e->ssl);
    buffer_free(&e->waiting);
    free(e);
}

static const struct filter_class class = {
    .code = "ETLS", .receive = on_receive, .send = on_send, .finish = on_finish, .free = on_free};

/* The peer's certificate must be for `name`; a DNS name is told it too. */
static bool expect_name(SSL *ssl, const char *name) {
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (!name || !name[0]) {
        return false;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) {
        return true;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct filter *tls_filter(struct tls_context *context, const char *name) {
    struct engine *e = calloc(1, sizeof *e);
    SSL *ssl = e ? SSL_new(context->ssl) : NULL;
    BIO *in = ssl ? BIO_new(BIO_s_mem()) : NULL;
    BIO *out = in ? BIO_new(BIO_s_mem()) : NULL;
    if (!out || (!context->server && !expect_name(ssl, name))) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        free(e);
        ERR_clear_error();
        return NULL;
    }
    *e = (struct engine){.filter.class = &class, .ssl = ssl, .in = in, .out = out};
    buffer_init(&e->waiting, WAITING_MAX);
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(ssl, in, out);
    if (context->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return &e->filter;
}
