#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "exec/frame.h"

struct seen {
    char text[256];
    size_t len;
    int stop_after; /* frames; 0: never */
};

static bool take(void *ctx, const char *bytes, size_t len) {
    struct seen *seen = ctx;
    memcpy(seen->text + seen->len, bytes, len);
    seen->len += len;
    seen->text[seen->len++] = '|';
    return --seen->stop_after != 0;
}

static enum frame_status feed(const char *data, size_t len, size_t slice, struct seen *seen,
                              bool *between) {
    struct frame_parser p;
    enum frame_status status = FRAME_OK;
    frame_init(&p);
    for (size_t at = 0; at < len && status == FRAME_OK; at += slice) {
        status = frame_feed(&p, data + at, len - at < slice ? len - at : slice, take, seen);
    }
    *between = frame_between(&p);
    frame_free(&p);
    return status;
}

static void frames_come_whole_however_the_stream_is_cut(void **state) {
    (void)state;
    static const char stream[] = "\0\0\0\2hi\0\0\0\0\0\0\0\5hello";
    for (size_t slice = 1; slice < sizeof stream; slice++) {
        struct seen seen = {.len = 0};
        bool between = false;
        assert_int_equal(feed(stream, sizeof stream - 1, slice, &seen, &between), FRAME_OK);
        assert_int_equal(seen.len, 10);
        assert_memory_equal(seen.text, "hi||hello|", 10);
        assert_true(between);
    }
}

static void an_end_within_a_frame_is_seen(void **state) {
    (void)state;
    struct seen seen = {.len = 0};
    bool between = true;
    assert_int_equal(feed("\0\0\0\5hel", 7, 7, &seen, &between), FRAME_OK);
    assert_false(between);
    assert_int_equal(feed("\0\0", 2, 1, &seen, &between), FRAME_OK);
    assert_false(between);
    assert_int_equal(seen.len, 0);
}

static void a_head_over_the_cap_is_refused_before_any_memory_is_taken(void **state) {
    (void)state;
    struct seen seen = {.len = 0};
    bool between = true;
    assert_int_equal(feed("\0\200\0\1x", 5, 3, &seen, &between), FRAME_TOO_BIG);
    assert_int_equal(feed("\0\200\0\0x", 5, 3, &seen, &between), FRAME_OK);
    assert_int_equal(seen.len, 0);
}

static void a_handler_can_stop_the_parser(void **state) {
    (void)state;
    struct seen seen = {.stop_after = 1};
    bool between = true;
    assert_int_equal(feed("\0\0\0\1a\0\0\0\1b", 10, 10, &seen, &between), FRAME_STOPPED);
    assert_int_equal(seen.len, 2);
}

static void a_written_head_is_read_back(void **state) {
    (void)state;
    unsigned char head[FRAME_HEAD];
    frame_write_head(head, 0x00123456);
    assert_memory_equal(head, "\0\x12\x34\x56", FRAME_HEAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_whole_however_the_stream_is_cut),
        cmocka_unit_test(an_end_within_a_frame_is_seen),
        cmocka_unit_test(a_head_over_the_cap_is_refused_before_any_memory_is_taken),
        cmocka_unit_test(a_handler_can_stop_the_parser),
        cmocka_unit_test(a_written_head_is_read_back),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
