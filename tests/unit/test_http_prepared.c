#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/prepared.h"

static void keep(struct http_prepared *p, const char *request, const char *head, const char *body,
                 uint64_t until) {
    struct buffer h;
    buffer_init(&h, 1000);
    buffer_append(&h, head, strlen(head));
    http_prepared_keep(p, request, strlen(request), &h, body, strlen(body), until, 7);
    buffer_free(&h);
}

static const char *find(const struct http_prepared *p, const char *bytes, uint64_t now,
                        uint64_t second, size_t *used) {
    static char text[100];
    const struct buffer *a = http_prepared_find(p, bytes, strlen(bytes), now, second, used);
    if (!a) {
        return NULL;
    }
    memcpy(text, a->data, a->len);
    text[a->len] = 0;
    return text;
}

static void the_same_bytes_get_the_same_answer(void **state) {
    (void)state;
    struct http_prepared p;
    size_t used = 0;
    http_prepared_init(&p);
    assert_null(find(&p, "ask", 1, 7, &used));
    keep(&p, "ask;", "head ", "body", 10);
    assert_string_equal(find(&p, "ask;more", 9, 7, &used), "head body");
    assert_int_equal(used, 4);
    assert_null(find(&p, "ask", 9, 7, &used));
    assert_null(find(&p, "asK;", 9, 7, &used));
    assert_null(find(&p, "ask;", 10, 7, &used));
    assert_null(find(&p, "ask;", 9, 8, &used)); /* its Date is over */
    keep(&p, "ask;", "new ", "", 10);
    assert_string_equal(find(&p, "ask;", 9, 7, &used), "new ");
    http_prepared_forget(&p);
    assert_null(find(&p, "ask;", 9, 7, &used));
    http_prepared_free(&p);
}

static void a_few_are_kept_and_the_oldest_goes(void **state) {
    (void)state;
    struct http_prepared p;
    char request[] = "ask0;";
    size_t used = 0;
    http_prepared_init(&p);
    for (int i = 0; i <= HTTP_PREPARED_SLOTS; i++) {
        request[3] = (char)('0' + i);
        keep(&p, request, "a", "b", 10);
    }
    assert_null(find(&p, "ask0;", 1, 7, &used));
    assert_non_null(find(&p, "ask1;", 1, 7, &used));
    assert_non_null(find(&p, request, 1, 7, &used));
    http_prepared_free(&p);
    assert_null(find(&p, request, 1, 7, &used));
}

static void what_is_too_large_is_not_kept(void **state) {
    (void)state;
    struct http_prepared p;
    size_t used = 0;
    static char large[HTTP_PREPARED_HEAD_MAX + 2];
    memset(large, 'x', sizeof large - 1);
    http_prepared_init(&p);
    keep(&p, large, "a", "b", 10);
    assert_null(find(&p, large, 1, 7, &used));
    keep(&p, "ask", "a", "b", 10);
    assert_non_null(find(&p, "ask", 1, 7, &used));
    http_prepared_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_get_the_same_answer),
        cmocka_unit_test(a_few_are_kept_and_the_oldest_goes),
        cmocka_unit_test(what_is_too_large_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
