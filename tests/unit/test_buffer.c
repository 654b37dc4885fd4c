#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "util/buffer.h"

static void append_beyond_the_cap_changes_nothing(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 10);
    assert_true(buffer_append(&b, "12345678", 8));
    assert_false(buffer_append(&b, "abc", 3));
    assert_int_equal(b.len, 8);
    assert_true(buffer_append(&b, "ab", 2));
    assert_memory_equal(b.data, "12345678ab", 10);
    buffer_free(&b);
}

static void consume_keeps_the_rest_in_order(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 4096);
    for (int i = 0; i < 100; i++) {
        assert_true(buffer_append(&b, "0123456789", 10));
    }
    buffer_consume(&b, 995);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.data, "56789", 5);
    buffer_consume(&b, 5);
    assert_int_equal(b.len, 0);
    buffer_free(&b);
}

static void reserve_near_size_max_does_not_wrap(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 64);
    assert_true(buffer_append(&b, "x", 1));
    assert_false(buffer_reserve(&b, SIZE_MAX));
    buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_beyond_the_cap_changes_nothing),
        cmocka_unit_test(consume_keeps_the_rest_in_order),
        cmocka_unit_test(reserve_near_size_max_does_not_wrap),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
