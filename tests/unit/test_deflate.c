#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "zlib/deflate.h"

enum { ROOM = 1024 * 1024 };

static void what_one_sends_the_other_receives_at_once(void **state) {
    (void)state;
    static const size_t slices[] = {1, 5, ROOM};
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        struct filter *one = deflate_filter(6);
        struct filter *two = deflate_filter(1);
        struct buffer wire, plain;
        buffer_init(&wire, ROOM);
        buffer_init(&plain, ROOM);
        for (int round = 1; round <= 3; round++) {
            static const char text[] = "PUB collect.web.shop.loda collect.web.shop.loda\n";
            assert_int_equal(one->class->send(one, text, sizeof text, &wire), FILTER_OPEN);
            while (wire.len) {
                size_t n = wire.len < slices[i] ? wire.len : slices[i];
                assert_int_equal(two->class->receive(two, wire.data, n, &plain, NULL), FILTER_OPEN);
                buffer_consume(&wire, n);
            }
            assert_int_equal(plain.len, sizeof text);
            assert_memory_equal(plain.data, text, sizeof text);
            plain.len = 0;
        }
        one->class->free(one);
        two->class->free(two);
        buffer_free(&wire);
        buffer_free(&plain);
    }
}

static void the_end_is_told(void **state) {
    (void)state;
    struct filter *one = deflate_filter(6);
    struct filter *two = deflate_filter(6);
    struct buffer wire;
    struct buffer plain;
    buffer_init(&wire, ROOM);
    buffer_init(&plain, ROOM);
    one->class->send(one, "last", 4, &wire);
    one->class->finish(one, &wire);
    assert_int_equal(two->class->receive(two, wire.data, wire.len, &plain, NULL), FILTER_ENDED);
    assert_int_equal(plain.len, 4);
    one->class->free(one);
    two->class->free(two);
    buffer_free(&wire);
    buffer_free(&plain);
}

static void what_is_no_deflate_fails(void **state) {
    (void)state;
    struct filter *f = deflate_filter(6);
    struct buffer plain;
    buffer_init(&plain, ROOM);
    assert_int_equal(f->class->receive(f, "\xff\xff\xff\xff", 4, &plain, NULL), FILTER_FAILED);
    assert_string_equal(f->why, "not a DEFLATE stream");
    f->class->free(f);
    buffer_free(&plain);
}

static void a_bomb_stops_at_the_cap(void **state) {
    (void)state;
    static char zeros[8 * ROOM];
    struct filter *sender = deflate_filter(9);
    struct filter *f = deflate_filter(6);
    struct buffer wire, plain;
    buffer_init(&wire, ROOM);
    buffer_init(&plain, ROOM);
    assert_int_equal(sender->class->send(sender, zeros, sizeof zeros, &wire), FILTER_OPEN);
    assert_int_equal(f->class->receive(f, wire.data, wire.len, &plain, NULL), FILTER_FAILED);
    assert_true(plain.len <= ROOM);
    f->class->free(f);
    sender->class->free(sender);
    buffer_free(&wire);
    buffer_free(&plain);
}

static void a_gzip_text_reads_back_equal(void **state) {
    (void)state;
    static const char text[] = "cpu.idle,host=web07 value=97.25 1714557600\n";
    char back[sizeof text];
    struct buffer out;
    buffer_init(&out, ROOM);
    assert_true(deflate_gzip(text, sizeof text, 6, &out));
    z_stream z = {.next_in = (Bytef *)out.data,
                  .avail_in = (uInt)out.len,
                  .next_out = (Bytef *)back,
                  .avail_out = sizeof back};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    assert_memory_equal(back, text, sizeof text);
    out.max = out.len;
    out.len = 0;
    out.max = 5;
    assert_false(deflate_gzip(text, sizeof text, 6, &out));
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_sends_the_other_receives_at_once),
        cmocka_unit_test(the_end_is_told),
        cmocka_unit_test(what_is_no_deflate_fails),
        cmocka_unit_test(a_bomb_stops_at_the_cap),
        cmocka_unit_test(a_gzip_text_reads_back_equal),
    };
    return cmocka_run_group_tests_name("deflate", tests, NULL, NULL);
}
