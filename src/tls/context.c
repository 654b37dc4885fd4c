#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

/* Nobody is there to type a passphrase. */
static int no_passphrase(char *buf, int size, int writing, void *ctx) {
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0;
}

static BIO *open_text(const struct tls_text *text) {
    return text->len < 16 * 1024 * 1024 ? BIO_new_mem_buf(text->data, (int)text->len) : NULL;
}

/* All certificates of a text that can be read; their number. */
static int add_authorities(SSL_CTX *ssl, const struct tls_text *ca, bool server) {
    BIO *in = open_text(ca);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    int n = 0;
    for (X509 *x = NULL; in && (x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)); n++) {
        X509_STORE_add_cert(store, x);
        if (server) {
            SSL_CTX_add_client_CA(ssl, x);
        }
        X509_free(x);
    }
    BIO_free(in);
    ERR_clear_error();
    return n;
}

/* Our certificate first, the others of the chain behind it. */
static bool use_certificate(SSL_CTX *ssl, const struct tls_text *cert) {
    BIO *in = open_text(cert);
    X509 *x = in ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;
    bool fine = x && SSL_CTX_use_certificate(ssl, x) == 1;
    X509_free(x);
    while (fine && (x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL))) {
        if (SSL_CTX_add0_chain_cert(ssl, x) != 1) {
            X509_free(x);
            fine = false;
        }
    }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is told as an error */
    return fine;
}

static bool use_key(SSL_CTX *ssl, const struct tls_text *key) {
    BIO *in = open_text(key);
    EVP_PKEY *k = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    bool fine = k && SSL_CTX_use_PrivateKey(ssl, k) == 1;
    EVP_PKEY_free(k);
    BIO_free(in);
    ERR_clear_error();
    return fine;
}

/* What is wrong, or NULL. */
static const char *fill(SSL_CTX *ssl, const struct tls_options *o) {
    if (!o->ca.data && !o->server) {
        return "no authority to trust";
    }
    if (o->ca.data && add_authorities(ssl, &o->ca, o->server) == 0) {
        return "no certificate of an authority can be read";
    }
    if (!o->cert.data) {
        return o->server ? "a server needs a certificate" : NULL;
    }
    if (!use_certificate(ssl, &o->cert)) {
        return "the certificate can't be read, or is weaker than this machine allows";
    }
    if (!use_key(ssl, o->key.data ? &o->key : &o->cert)) {
        return "the key can't be read, has a passphrase, or isn't that of the certificate";
    }
    return SSL_CTX_check_private_key(ssl) == 1 ? NULL : "the key isn't that of the certificate";
}

static void set_manners(SSL_CTX *ssl, const struct tls_options *o) {
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    int demand = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, !o->server || o->ca.data ? demand : SSL_VERIFY_NONE, NULL);
}

struct tls_context *tls_context_open(const struct tls_options *options, char *why, size_t why_len) {
    struct tls_context *c = calloc(1, sizeof *c);
    SSL_CTX *ssl =
        c ? SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method()) : NULL;
    if (!ssl) {
        free(c);
        snprintf(why, why_len, "OpenSSL can't be set up");
        return NULL;
    }
    *c = (struct tls_context){.ssl = ssl, .server = options->server};
    set_manners(ssl, options);
    const char *wrong = fill(ssl, options);
    if (wrong) {
        snprintf(why, why_len, "%s", wrong);
        tls_context_close(c);
        return NULL;
    }
    return c;
}

void tls_context_close(struct tls_context *context) {
    if (context) {
        SSL_CTX_free(context->ssl);
        free(context);
    }
}
