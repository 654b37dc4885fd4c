#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/engine.h"

enum { ROOM = 4 * 1024 * 1024 };

/* A certificate and its key, as PEM in one text. */
struct identity {
    X509 *x;
    EVP_PKEY *key;
    char text[8192];
};

static struct identity ca;
static struct identity stranger;
static struct identity server;
static struct identity client;

static void extend(X509 *x, int nid, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static void make(struct identity *id, const char *name, const struct identity *issuer,
                 const char *names) {
    id->key = EVP_EC_gen("P-256");
    id->x = X509_new();
    X509_set_version(id->x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id->x), 1);
    X509_gmtime_adj(X509_getm_notBefore(id->x), -60);
    X509_gmtime_adj(X509_getm_notAfter(id->x), 3600);
    X509_set_pubkey(id->x, id->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id->x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id->x, X509_get_subject_name(issuer ? issuer->x : id->x));
    extend(id->x, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names) {
        extend(id->x, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(id->x, issuer ? issuer->key : id->key, EVP_sha256()) > 0);
    BIO *out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, id->x);
    PEM_write_bio_PrivateKey(out, id->key, NULL, NULL, 0, NULL, NULL);
    int n = BIO_read(out, id->text, sizeof id->text - 1);
    assert_true(n > 0);
    id->text[n] = 0;
    BIO_free(out);
}

static int make_all(void **state) {
    (void)state;
    make(&ca, "ca", NULL, NULL);
    make(&stranger, "stranger", NULL, NULL);
    make(&server, "server", &ca, "DNS:nsqd.example.org,IP:127.0.0.1");
    make(&client, "client", &ca, NULL);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    struct identity *all[] = {&ca, &stranger, &server, &client};
    for (size_t i = 0; i < 4; i++) {
        X509_free(all[i]->x);
        EVP_PKEY_free(all[i]->key);
    }
    return 0;
}

static struct tls_text text_of(const struct identity *id) {
    return id ? (struct tls_text){.data = id->text, .len = strlen(id->text)} : (struct tls_text){0};
}

static struct tls_context *context(bool is_server, const struct identity *trusted,
                                   const struct identity *own) {
    char why[160] = "";
    struct tls_options options = {
        .server = is_server, .ca = text_of(trusted), .cert = text_of(own)};
    struct tls_context *c = tls_context_open(&options, why, sizeof why);
    assert_string_equal(why, "");
    return c;
}

/* Two filters that talk to each other, and what each of them understood. */
struct pair {
    struct filter *ends[2]; /* client, server */
    struct buffer wire[2];  /* sent by that end */
    struct buffer plain[2]; /* received by it */
    enum filter_state state[2];
};

static void open_pair(struct pair *p, struct tls_context *c, struct tls_context *s,
                      const char *name) {
    *p = (struct pair){.ends = {tls_filter(c, name), tls_filter(s, NULL)}};
    tls_context_close(c); /* the filters live on */
    tls_context_close(s);
    for (int i = 0; i < 2; i++) {
        assert_non_null(p->ends[i]);
        buffer_init(&p->wire[i], ROOM);
        buffer_init(&p->plain[i], ROOM);
        p->state[i] = FILTER_BUSY;
    }
}

static void close_pair(struct pair *p) {
    for (int i = 0; i < 2; i++) {
        p->ends[i]->class->free(p->ends[i]);
        buffer_free(&p->wire[i]);
        buffer_free(&p->plain[i]);
    }
}

static void send(struct pair *p, int end, const char *bytes, size_t n) {
    p->state[end] = p->ends[end]->class->send(p->ends[end], bytes, n, &p->wire[end]);
}

/* Carries what was sent to the other end, so many bytes at once, until nobody has more to say. */
static void carry(struct pair *p, size_t slice) {
    bool failed = false;
    while (!failed && (p->wire[0].len || p->wire[1].len)) {
        for (int from = 0; from < 2 && !failed; from++) {
            int to = !from;
            size_t n = p->wire[from].len < slice ? p->wire[from].len : slice;
            if (n) {
                p->state[to] = p->ends[to]->class->receive(p->ends[to], p->wire[from].data, n,
                                                           &p->plain[to], &p->wire[to]);
                buffer_consume(&p->wire[from], n);
                failed = p->state[to] == FILTER_FAILED;
            }
        }
    }
}

static void whatever_the_slices_both_ends_understand_each_other(void **state) {
    (void)state;
    static char large[100000];
    memset(large, 'x', sizeof large);
    static const size_t slices[] = {1, 7, 4096, ROOM};
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        struct pair p;
        open_pair(&p, context(false, &ca, NULL), context(true, NULL, &server), "nsqd.example.org");
        send(&p, 0, "early", 5); /* waits for the handshake */
        assert_int_equal(p.state[0], FILTER_BUSY);
        carry(&p, slices[i]);
        assert_int_equal(p.state[0], FILTER_OPEN);
        assert_int_equal(p.state[1], FILTER_OPEN);
        assert_int_equal(p.plain[1].len, 5);
        assert_memory_equal(p.plain[1].data, "early", 5);
        send(&p, 1, large, sizeof large);
        carry(&p, slices[i]);
        assert_int_equal(p.plain[0].len, sizeof large);
        assert_memory_equal(p.plain[0].data, large, sizeof large);
        close_pair(&p);
    }
}

static void the_end_is_told(void **state) {
    (void)state;
    struct pair p;
    open_pair(&p, context(false, &ca, NULL), context(true, NULL, &server), "nsqd.example.org");
    p.ends[0]->class->finish(p.ends[0], &p.wire[0]); /* nothing to say before the handshake */
    assert_int_equal(p.wire[0].len, 0);
    send(&p, 0, "last words", 10);
    carry(&p, ROOM);
    p.ends[0]->class->finish(p.ends[0], &p.wire[0]);
    carry(&p, ROOM);
    assert_int_equal(p.plain[1].len, 10);
    assert_int_equal(p.state[1], FILTER_ENDED);
    close_pair(&p);
}

static void an_address_is_a_name_too(void **state) {
    (void)state;
    struct pair p;
    open_pair(&p, context(false, &ca, NULL), context(true, NULL, &server), "127.0.0.1");
    send(&p, 0, NULL, 0);
    carry(&p, ROOM);
    assert_int_equal(p.state[0], FILTER_OPEN);
    close_pair(&p);
}

static void expect_refusal(struct tls_context *c, const char *name, const char *why) {
    struct pair p;
    open_pair(&p, c, context(true, NULL, &server), name);
    send(&p, 0, "secret", 6);
    carry(&p, ROOM);
    assert_int_equal(p.state[0], FILTER_FAILED);
    assert_non_null(strstr(p.ends[0]->why, why));
    assert_true(p.wire[0].len > 0); /* the alert */
    assert_int_equal(p.plain[1].len, 0);
    close_pair(&p);
}

static void a_server_of_another_name_or_authority_is_told_nothing(void **state) {
    (void)state;
    expect_refusal(context(false, &ca, NULL), "other.example.org", "hostname mismatch");
    expect_refusal(context(false, &ca, NULL), "127.0.0.2", "IP address mismatch");
    expect_refusal(context(false, &stranger, NULL), "nsqd.example.org", "issuer");
}

static void a_server_with_an_authority_demands_a_certificate(void **state) {
    (void)state;
    const struct {
        const struct identity *shown;
        enum filter_state state;
    } cases[] = {{&client, FILTER_OPEN}, {NULL, FILTER_FAILED}, {&stranger, FILTER_FAILED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair p;
        open_pair(&p, context(false, &ca, cases[i].shown), context(true, &ca, &server),
                  "nsqd.example.org");
        send(&p, 0, NULL, 0);
        carry(&p, ROOM);
        assert_int_equal(p.state[1], cases[i].state);
        close_pair(&p);
    }
}

static void what_is_no_tls_fails_with_a_reason(void **state) {
    (void)state;
    struct pair p;
    open_pair(&p, context(false, &ca, NULL), context(true, NULL, &server), "nsqd.example.org");
    static const char plain[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    buffer_append(&p.wire[0], plain, sizeof plain - 1);
    carry(&p, ROOM);
    assert_int_equal(p.state[1], FILTER_FAILED);
    assert_non_null(strstr(p.ends[1]->why, "TLS: "));
    close_pair(&p);
}

static void expect_no_context(struct tls_options options, const char *what) {
    char why[160] = "";
    assert_null(tls_context_open(&options, why, sizeof why));
    assert_non_null(strstr(why, what));
}

static void what_cannot_be_used_is_named(void **state) {
    (void)state;
    static const struct tls_text nonsense = {.data = "nonsense", .len = 8};
    expect_no_context((struct tls_options){0}, "no authority");
    expect_no_context((struct tls_options){.ca = nonsense}, "authority can be read");
    expect_no_context((struct tls_options){.server = true}, "needs a certificate");
    expect_no_context((struct tls_options){.ca = text_of(&ca), .cert = nonsense}, "certificate");
    expect_no_context(
        (struct tls_options){.ca = text_of(&ca), .cert = text_of(&client), .key = text_of(&server)},
        "key");
    struct tls_context *c = context(false, &ca, NULL);
    assert_null(tls_filter(c, NULL));
    assert_null(tls_filter(c, ""));
    tls_context_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_the_slices_both_ends_understand_each_other),
        cmocka_unit_test(the_end_is_told),
        cmocka_unit_test(an_address_is_a_name_too),
        cmocka_unit_test(a_server_of_another_name_or_authority_is_told_nothing),
        cmocka_unit_test(a_server_with_an_authority_demands_a_certificate),
        cmocka_unit_test(what_is_no_tls_fails_with_a_reason),
        cmocka_unit_test(what_cannot_be_used_is_named),
    };
    return cmocka_run_group_tests_name("tls", tests, make_all, free_all);
}
