#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/parser.h"

#define BODY_MAX 1000
#define H        "Host: x\r\n"

/* A request line and what is expected of it: status 0 = accepted, then `seen` is
 * "METHOD path name=value… |header:value… |body" for each request, joined by a newline. */
struct one_case {
    const char *name, *bytes;
    int status;
    const char *seen;
};

static const struct one_case cases[] = {
    {"plain get", "GET /me/ns HTTP/1.1\r\n" H "\r\n", 0, "GET /me/ns |host:x |"},
    {"http/1.0 without host", "GET / HTTP/1.0\r\n\r\n", 0, "GET / | |close"},
    {"http/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0,
     "GET / |connection:keep-alive |"},
    {"connection close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 0,
     "GET / |host:x connection:close |close"},
    {"query", "GET /a%2fb?x=1&y=a%20b+c&&z&=v&x=2 HTTP/1.1\r\n" H "\r\n", 0,
     "GET /a/b x=1 y=a b c z= =v x=2 |host:x |"},
    {"absolute form", "GET http://h:1/p?q=1 HTTP/1.1\r\n" H "\r\n", 0, "GET /p q=1 |host:x |"},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "OPTIONS * |host:x |"},
    {"names become lower case, values trimmed", "GET / HTTP/1.1\r\nHOST:\t x y \t\r\nA:\r\n\r\n", 0,
     "GET / |host:x y a: |"},
    {"empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, "GET / |host:x |"},
    {"body of a length", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 0,
     "POST / |host:x content-length:3 |abc"},
    {"two in a row",
     "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" H "\r\n", 0,
     "POST / |host:x content-length:3 |abc\nGET /2 |host:x |"},
    {"chunks",
     "POST / HTTP/1.1\r\n" H
     "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n"
     "0\r\nA: b\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
     0, "POST / |host:x transfer-encoding:Chunked |abc0123456789\nGET /2 |host:x |"},
    {"upgrade is overlooked",
     "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n" H
     "\r\n",
     0, "GET / |host:x connection:Upgrade upgrade:h2c |\nGET /2 |host:x |"},
    {"length and chunked",
     "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"chunked and length",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, NULL},
    {"two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
     400, NULL},
    {"list of lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", 400, NULL},
    {"signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 400, NULL},
    {"negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc", 400, NULL},
    {"empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\nabc", 400, NULL},
    {"hex length", "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 400, NULL},
    {"giant length", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400,
     NULL},
    {"length over the limit", "POST / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n", 413, NULL},
    {"chunk over the limit", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
     413, NULL},
    {"coding xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400, NULL},
    {"coding gzip, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n",
     400, NULL},
    {"coding chunked, identity",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", 400, NULL},
    {"coding twice",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     400, NULL},
    {"coding behind vertical tab", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n",
     400, NULL},
    {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL},
    {"space before colon", "POST / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc", 400, NULL},
    {"folded header", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400, NULL},
    {"space before the first header", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, NULL},
    {"bare LF", "GET / HTTP/1.1\n" H "\n", 400, NULL},
    {"bare LF behind a header", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, NULL},
    {"nothing but bare LF", "GET / HTTP/1.0\n\n", 400, NULL},
    {"bare CR", "GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400, NULL},
    {"header without colon", "GET / HTTP/1.1\r\n" H "abc\r\n\r\n", 400, NULL},
    {"header without name", "GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400, NULL},
    {"odd header name", "GET / HTTP/1.1\r\n" H "A(b): c\r\n\r\n", 400, NULL},
    {"high byte in a header name", "GET / HTTP/1.1\r\n" H "A\xe9: c\r\n\r\n", 400, NULL},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, NULL},
    {"two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 400, NULL},
    {"no version", "GET /\r\n\r\n", 400, NULL},
    {"two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"space in the target", "GET /a b HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"tab in the request line", "GET\t/ HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"trailing space", "GET / HTTP/1.1 \r\n" H "\r\n", 400, NULL},
    {"version 2.0", "PRI * HTTP/2.0\r\n\r\n", 505, NULL},
    {"version 1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505, NULL},
    {"version 01.1", "GET / HTTP/01.1\r\n" H "\r\n", 400, NULL},
    {"version http/1.1", "GET / http/1.1\r\n" H "\r\n", 400, NULL},
    {"unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", 501, NULL},
    {"connect", "CONNECT h:443 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"relative target", "GET me/ns HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"authority missing", "GET http:///x HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"short escape", "GET /a%4 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"bad escape", "GET /a?x=%zz HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"escaped NUL in the path", "GET /a%00 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"escaped NUL in the query", "GET /a?x=%00 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"escaped newline", "GET /a?x=%0d%0a HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"control character in the target", "GET /a\x01 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"DEL in the target", "GET /a\x7f HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"high byte in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400, NULL},
    {"control character in a header", "GET / HTTP/1.1\r\n" H "A: \x1b[2J\r\n\r\n", 400, NULL},
    {"unknown expectation", "POST / HTTP/1.1\r\n" H "Expect: cake\r\nContent-Length: 1\r\n\r\n",
     417, NULL},
    {"tls greeting", "\x16\x03\x01\x02", 400, NULL},
    {"chunk size missing", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n\r\n", 400,
     NULL},
    {"chunk size signed", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400,
     NULL},
    {"chunk size 0x", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc", 400,
     NULL},
    {"chunk size too long",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n000000003\r\n", 400, NULL},
    {"chunk size with a bare LF",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n", 400, NULL},
    {"chunk size with CR and no LF",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\rXabc", 400, NULL},
    {"chunk longer than said",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400, NULL},
    {"chunk end with a bare LF",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400, NULL},
    {"chunk end without CR",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\n0\r\n\r\n", 400, NULL},
    {"trailer with a bare LF",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", 400, NULL},
};

#define add(text, size, ...) snprintf((text) + strlen(text), (size)-strlen(text), __VA_ARGS__)

static void put(char *to, const char *text) {
    while (*text) {
        *to++ = *text++;
    }
}

static void describe(const struct http_request *p, char *text, size_t size) {
    const char *head = p->head.data;
    add(text, size, "%s%.*s %.*s ", *text ? "\n" : "", p->method.len, head + p->method.at,
        p->path.len, head + p->path.at);
    for (int i = 0; i < p->param_count; i++) {
        const struct http_pair *q = &p->params[i];
        add(text, size, "%.*s=%.*s ", q->name.len, head + q->name.at, q->value.len,
            head + q->value.at);
    }
    add(text, size, "|");
    for (int i = 0; i < p->header_count; i++) {
        const struct http_pair *h = &p->headers[i];
        add(text, size, "%.*s:%.*s ", h->name.len, head + h->name.at, h->value.len,
            head + h->value.at);
    }
    add(text, size, "%s|%.*s%s", p->header_count ? "" : " ", (int)p->body.len,
        p->body.len ? p->body.data : "", p->keep_alive ? "" : "close");
}

/* Feeds the bytes in slices; returns the status of the refusal, or 0. */
static int feed(const char *bytes, size_t n, size_t slice, char *seen, size_t size) {
    struct http_request p;
    http_request_open(&p, BODY_MAX);
    *seen = 0;
    int status = 0;
    for (size_t at = 0; at < n && !status;) {
        size_t used = 0;
        enum http_event event =
            http_request_feed(&p, bytes + at, slice < n - at ? slice : n - at, &used);
        at += used;
        if (event == HTTP_EVENT_FAILED) {
            status = p.status;
        } else if (event == HTTP_EVENT_DONE) {
            describe(&p, seen, size);
            http_request_next(&p);
        }
    }
    if (!status && http_request_begun(&p)) {
        status = -1; /* incomplete */
    }
    http_request_free(&p);
    return status;
}

static void every_case_in_slices_of(size_t slice) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char seen[1024];
        int status = feed(cases[i].bytes, strlen(cases[i].bytes), slice, seen, sizeof seen);
        if (status != cases[i].status || (!status && strcmp(seen, cases[i].seen) != 0)) {
            fail_msg("%s: status %d, wanted %d; seen:\n%s", cases[i].name, status, cases[i].status,
                     seen);
        }
    }
}

static void every_case_whole(void **state) {
    (void)state;
    every_case_in_slices_of(4096);
}

static void every_case_in_slices_of_3(void **state) {
    (void)state;
    every_case_in_slices_of(3);
}

static void every_case_byte_by_byte(void **state) {
    (void)state;
    every_case_in_slices_of(1);
}

static void nul_bytes_are_refused(void **state) {
    (void)state;
    static const char target[] = "GET /a\0b HTTP/1.1\r\n" H "\r\n";
    static const char header[] = "GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n";
    char seen[1024];
    assert_int_equal(feed(target, sizeof target - 1, 3, seen, sizeof seen), 400);
    assert_int_equal(feed(header, sizeof header - 1, 3, seen, sizeof seen), 400);
}

static void limits_of_the_head_hold(void **state) {
    (void)state;
    static char big[2 * HTTP_HEAD_MAX];
    char seen[1024];
    memset(big, 'a', sizeof big);
    put(big, "GET /");
    assert_int_equal(feed(big, sizeof big, 1000, seen, sizeof seen), 414);
    put(big, "GET / HTTP/1.1\r\nA: ");
    assert_int_equal(feed(big, sizeof big, 1000, seen, sizeof seen), 431);
    assert_int_equal(feed(big, sizeof big, sizeof big, seen, sizeof seen), 431);
    put(big + HTTP_HEAD_MAX - 13, "\r\n" H "\r\n");
    assert_int_equal(feed(big, HTTP_HEAD_MAX, sizeof big, seen, sizeof seen), 0);
}

static void too_many_headers_or_parameters_are_refused(void **state) {
    (void)state;
    char text[HTTP_HEAD_MAX] = "GET / HTTP/1.1\r\n" H;
    char seen[8192];
    for (int i = 1; i < HTTP_HEADERS_MAX; i++) {
        add(text, sizeof text, "a%d: b\r\n", i);
    }
    char over[HTTP_HEAD_MAX + 16];
    snprintf(over, sizeof over, "%sz: b\r\n\r\n", text);
    add(text, sizeof text, "\r\n");
    assert_int_equal(feed(text, strlen(text), 100, seen, sizeof seen), 0);
    assert_int_equal(feed(over, strlen(over), 100, seen, sizeof seen), 431);
    strcpy(text, "GET /?");
    for (int i = 0; i <= HTTP_PARAMS_MAX; i++) {
        add(text, sizeof text, "a=b&");
    }
    add(text, sizeof text, " HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(feed(text, strlen(text), 100, seen, sizeof seen), 400);
}

static void endless_trailers_are_refused(void **state) {
    (void)state;
    static char big[64 * 1024];
    memset(big, 'a', sizeof big);
    const char *head = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n";
    put(big, head);
    char seen[1024];
    assert_int_equal(feed(big, sizeof big, 1000, seen, sizeof seen), 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_whole),
        cmocka_unit_test(every_case_in_slices_of_3),
        cmocka_unit_test(every_case_byte_by_byte),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(limits_of_the_head_hold),
        cmocka_unit_test(too_many_headers_or_parameters_are_refused),
        cmocka_unit_test(endless_trailers_are_refused),
    };
    return cmocka_run_group_tests_name("http request", tests, NULL, NULL);
}
