#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/response.h"

/* Feeds the text in slices, then the end of the connection when it is still incomplete and
 * `closed`. */
static enum http_progress feed(struct http_response *r, const char *text, size_t slice,
                               bool closed) {
    size_t len = strlen(text);
    enum http_progress progress = HTTP_MORE;
    http_response_reset(r);
    for (size_t at = 0; at < len && progress != HTTP_MALFORMED; at += slice) {
        progress = http_response_feed(r, text + at, len - at < slice ? len - at : slice);
    }
    return progress == HTTP_MORE && closed ? http_response_finish(r) : progress;
}

static void expect(const char *text, bool closed, enum http_progress wanted, int status,
                   const char *body, bool keep_alive) {
    static const size_t slices[] = {1, 3, 7, 4096};
    struct http_response r;
    http_response_init(&r);
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        assert_int_equal(feed(&r, text, slices[i], closed), wanted);
        if (wanted == HTTP_COMPLETE) {
            assert_int_equal(r.status, status);
            assert_int_equal(r.body.len, strlen(body));
            assert_memory_equal(r.body.data ? r.body.data : "", body, r.body.len);
            assert_int_equal(r.keep_alive, keep_alive);
        }
    }
    http_response_free(&r);
}

static void responses_of_every_framing_are_read(void **state) {
    (void)state;
    expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", false, HTTP_COMPLETE, 200, "OK", true);
    expect("HTTP/1.1 204 No Content\r\n\r\n", false, HTTP_COMPLETE, 204, "", true);
    expect("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false,
           HTTP_COMPLETE, 413, "", false);
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n1\r\n!\r\n0\r\n\r\n",
           false, HTTP_COMPLETE, 200, "OK!", true);
    expect("HTTP/1.0 200 OK\r\n\r\nuntil the end", true, HTTP_COMPLETE, 200, "until the end",
           false);
    expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", false,
           HTTP_COMPLETE, 200, "OK", true);
}

static void a_cut_response_is_not_complete(void **state) {
    (void)state;
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nOK", false, HTTP_MORE, 0, "", false);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nOK", true, HTTP_MALFORMED, 0, "", false);
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n", true, HTTP_MALFORMED,
           0, "", false);
    expect("HTTP/1.1 200", true, HTTP_MALFORMED, 0, "", false);
}

static void what_is_not_one_response_is_malformed(void **state) {
    (void)state;
    expect("SSH-2.0-OpenSSH_9.2\r\n", false, HTTP_MALFORMED, 0, "", false);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nOK", false,
           HTTP_MALFORMED, 0, "", false);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOKHTTP/1.1 200 OK\r\n\r\n", false,
           HTTP_MALFORMED, 0, "", false);
}

static void head_and_body_are_bounded(void **state) {
    (void)state;
    struct http_response r;
    char line[1024];
    http_response_init(&r);
    memset(line, 'x', sizeof line);
    const char head[] = "HTTP/1.1 200 OK\r\nA: ";
    enum http_progress progress = http_response_feed(&r, head, sizeof head - 1);
    for (int i = 0; i < 200 && progress == HTTP_MORE; i++) {
        progress = http_response_feed(&r, line, sizeof line);
    }
    assert_int_equal(progress, HTTP_MALFORMED);
    http_response_reset(&r);
    const char big[] = "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n";
    progress = http_response_feed(&r, big, sizeof big - 1);
    for (int i = 0; i < 70 && progress == HTTP_MORE; i++) {
        progress = http_response_feed(&r, line, 1000);
    }
    assert_int_equal(progress, HTTP_MALFORMED);
    assert_true(r.body.len <= HTTP_RESPONSE_BODY_MAX);
    http_response_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_of_every_framing_are_read),
        cmocka_unit_test(a_cut_response_is_not_complete),
        cmocka_unit_test(what_is_not_one_response_is_malformed),
        cmocka_unit_test(head_and_body_are_bounded),
    };
    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
