#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "nsq/protocol.h"

static bool valid(const char *topic) {
    return nsq_topic_valid(topic, strlen(topic));
}

static void topics_are_those_that_nsqd_takes(void **state) {
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof longest);
    assert_true(valid("collect.web.shop-1.loda_x"));
    assert_true(valid("a"));
    assert_true(valid("a#ephemeral"));
    assert_true(nsq_topic_valid(longest, 64));
    assert_false(nsq_topic_valid(longest, 65));
    assert_false(valid(""));
    assert_false(valid("#ephemeral"));
    assert_false(valid("a#ephemeral.b"));
    assert_false(valid("a b"));
    assert_false(valid("a\nPUB b"));
    assert_false(nsq_topic_valid("a\0b", 3));
    assert_false(valid("t\xc3\xa4"));
}

static void one_message_is_a_pub(void **state) {
    (void)state;
    static const char wire[] = "PUB collect.a\n\0\0\0\2hi";
    struct buffer out;
    struct nsq_batch b;
    buffer_init(&out, 1000);
    assert_true(nsq_batch_begin(&b, &out, "collect.a", 9, true));
    assert_true(nsq_batch_add(&b, "h", 1, "i", 1));
    assert_true(nsq_batch_end(&b));
    assert_int_equal(out.len, sizeof wire - 1);
    assert_memory_equal(out.data, wire, out.len);
    buffer_free(&out);
}

static void several_messages_are_an_mpub(void **state) {
    (void)state;
    static const char wire[] = "xMPUB t\n\0\0\0\x11\0\0\0\2\0\0\0\2hi\0\0\0\3abc";
    struct buffer out;
    struct nsq_batch b;
    buffer_init(&out, 1000);
    buffer_append(&out, "x", 1);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    assert_true(nsq_batch_add(&b, "h", 1, "i", 1));
    assert_true(nsq_batch_add(&b, "", 0, "abc", 3));
    assert_true(nsq_batch_end(&b));
    assert_int_equal(out.len, sizeof wire - 1);
    assert_memory_equal(out.data, wire, out.len);
    buffer_free(&out);
}

static void what_nsqd_would_refuse_leaves_the_buffer_as_it_was(void **state) {
    (void)state;
    struct buffer out;
    struct nsq_batch b;
    char *big = calloc(1, NSQ_MESSAGE_MAX);
    buffer_init(&out, 8 * (size_t)NSQ_MESSAGE_MAX);
    buffer_append(&out, "before", 6);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    assert_false(nsq_batch_add(&b, "", 0, "", 0));
    assert_int_equal(out.len, 6);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    assert_false(nsq_batch_add(&b, "x", 1, big, NSQ_MESSAGE_MAX));
    assert_int_equal(out.len, 6);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    for (int i = 0; i < 5; i++) {
        assert_true(nsq_batch_add(&b, big, NSQ_MESSAGE_MAX, "", 0));
    }
    assert_false(nsq_batch_end(&b));
    assert_int_equal(out.len, 6);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    assert_false(nsq_batch_end(&b));
    assert_int_equal(out.len, 6);
    buffer_free(&out);
    free(big);
}

static void a_batch_over_the_buffers_cap_is_refused_whole(void **state) {
    (void)state;
    struct buffer out;
    struct nsq_batch b;
    buffer_init(&out, 30);
    assert_false(nsq_batch_begin(&b, &out, "a.topic.that.is.far.too.long.for.it", 35, false));
    assert_int_equal(out.len, 0);
    assert_true(nsq_batch_begin(&b, &out, "t", 1, false));
    assert_true(nsq_batch_add(&b, "12", 2, "345", 3));
    assert_false(nsq_batch_add(&b, "12", 2, "345", 3));
    assert_int_equal(out.len, 0);
    buffer_free(&out);
}

static const char stream[] = "\0\0\0\6\0\0\0\0OK"
                             "\0\0\0\17\0\0\0\0_heartbeat_"
                             "\0\0\0\4\0\0\0\0"
                             "\0\0\0\17\0\0\0\1E_BAD_TOPIC";

/* Feeds the stream in slices and checks each frame. Returns how many there were. */
static int decode_in_slices(size_t slice) {
    static const char *const data[] = {"OK", "_heartbeat_", "", "E_BAD_TOPIC"};
    static const uint32_t types[] = {0, 0, 0, 1};
    struct nsq_decoder d;
    struct nsq_frame frame;
    int frames = 0;
    nsq_decoder_init(&d);
    for (size_t at = 0; at < sizeof stream - 1; at += slice) {
        size_t n = sizeof stream - 1 - at < slice ? sizeof stream - 1 - at : slice;
        /* a copy of exactly this size, so that a sanitizer sees a read beyond it */
        char *copy = malloc(n);
        memcpy(copy, stream + at, n);
        const char *bytes = copy;
        while (nsq_decoder_next(&d, &bytes, &n, &frame) == NSQ_FRAME) {
            assert_int_equal(frame.type, types[frames]);
            assert_int_equal(frame.len, strlen(data[frames]));
            assert_memory_equal(frame.data, data[frames], frame.len);
            frames++;
        }
        assert_int_equal(n, 0);
        free(copy);
    }
    assert_int_equal(nsq_decoder_pending(&d), 0);
    nsq_decoder_free(&d);
    return frames;
}

static void frames_are_the_same_whole_and_in_slices(void **state) {
    (void)state;
    for (size_t slice = 1; slice <= sizeof stream; slice++) {
        assert_int_equal(decode_in_slices(slice), 4);
    }
}

static enum nsq_next first(const char *wire, size_t len, size_t slice) {
    struct nsq_decoder d;
    struct nsq_frame frame;
    enum nsq_next found = NSQ_MORE;
    nsq_decoder_init(&d);
    for (size_t at = 0; at < len && found == NSQ_MORE; at += slice) {
        const char *bytes = wire + at;
        size_t n = len - at < slice ? len - at : slice;
        found = nsq_decoder_next(&d, &bytes, &n, &frame);
    }
    nsq_decoder_free(&d);
    return found;
}

static void giant_tiny_and_foreign_frames_are_malformed(void **state) {
    (void)state;
    for (size_t slice = 1; slice <= 8; slice++) {
        assert_int_equal(first("\x7f\xff\xff\xff\0\0\0\0", 8, slice), NSQ_MALFORMED);
        assert_int_equal(first("\xff\xff\xff\xff\0\0\0\0", 8, slice), NSQ_MALFORMED);
        assert_int_equal(first("\0\1\0\1\0\0\0\0", 8, slice), NSQ_MALFORMED);
        assert_int_equal(first("\0\0\0\3\0\0\0\0", 8, slice), NSQ_MALFORMED);
        assert_int_equal(first("\0\0\0\6\0\0\0\3OK", 10, slice), NSQ_MALFORMED);
        assert_int_equal(first("HTTP/1.1 400 Bad Request", 24, slice), NSQ_MALFORMED);
    }
}

static void identify_is_magic_command_and_body(void **state) {
    (void)state;
    struct buffer out;
    buffer_init(&out, 100);
    assert_true(nsq_identify(&out, "{}", 2));
    assert_int_equal(out.len, 19);
    assert_memory_equal(out.data, "  V2IDENTIFY\n\0\0\0\2{}", 19);
    assert_false(nsq_identify(&out, out.data, 90));
    assert_int_equal(out.len, 19);
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_those_that_nsqd_takes),
        cmocka_unit_test(one_message_is_a_pub),
        cmocka_unit_test(several_messages_are_an_mpub),
        cmocka_unit_test(what_nsqd_would_refuse_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_batch_over_the_buffers_cap_is_refused_whole),
        cmocka_unit_test(frames_are_the_same_whole_and_in_slices),
        cmocka_unit_test(giant_tiny_and_foreign_frames_are_malformed),
        cmocka_unit_test(identify_is_magic_command_and_body),
    };
    return cmocka_run_group_tests_name("nsq_protocol", tests, NULL, NULL);
}
