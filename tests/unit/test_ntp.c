#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proc/ntp.h"

static const uint8_t cookie[NTP_COOKIE] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
static const double sent = 1700000000.0;
static const double elapsed = 0.1;

static void put_u32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* Unix seconds in NTP's 32 + 32 bits. */
static void put_time(uint8_t *p, double seconds) {
    put_u32(p, (uint32_t)((uint64_t)seconds + 2208988800u));
    put_u32(p + 4, (uint32_t)((seconds - (double)(uint64_t)seconds) * 4294967296.0));
}

/* A stratum 2 server that is 5 s ahead, held the request for 20 ms, 40 ms each way. */
static void good_reply(uint8_t reply[NTP_PACKET]) {
    memset(reply, 0, NTP_PACKET);
    reply[0] = 4 << 3 | 4;
    reply[1] = 2;
    memcpy(reply + 24, cookie, NTP_COOKIE);
    put_time(reply + 32, sent + 5 + 0.04);
    put_time(reply + 40, sent + 5 + 0.06);
}

static enum ntp_verdict judge(const uint8_t *reply, struct ntp_sample *sample) {
    return ntp_judge(reply, NTP_PACKET, cookie, sent, elapsed, sample);
}

static void assert_near(double expected, double got) {
    assert_true(got > expected - 1e-6 && got < expected + 1e-6);
}

static void the_request_shows_the_cookie_and_nothing_else(void **state) {
    (void)state;
    uint8_t packet[NTP_PACKET], expected[NTP_PACKET] = {0x23};
    memcpy(expected + 40, cookie, NTP_COOKIE);
    ntp_request(packet, cookie);
    assert_memory_equal(packet, expected, NTP_PACKET);
}

static void offset_and_delay_follow_rfc_5905(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    good_reply(reply);
    assert_int_equal(judge(reply, &sample), NTP_GOOD);
    assert_near(5.0, sample.offset);
    assert_near(0.08, sample.delay);
    assert_int_equal(sample.stratum, 2);
}

static void an_offset_of_years_is_a_measurement_too(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    good_reply(reply);
    put_time(reply + 32, sent - 300000000 + 0.04);
    put_time(reply + 40, sent - 300000000 + 0.06);
    assert_int_equal(judge(reply, &sample), NTP_GOOD);
    assert_near(-300000000.0, sample.offset);
}

static void the_era_that_ends_in_2036_is_crossed(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    double last = 2085978495.0; /* the last second of era 0 */
    good_reply(reply);
    put_time(reply + 32, last + 2.04);
    put_time(reply + 40, last + 2.06);
    assert_int_equal(ntp_judge(reply, NTP_PACKET, cookie, last, elapsed, &sample), NTP_GOOD);
    assert_near(2.0, sample.offset);
}

static void replies_that_prove_nothing_are_refused(void **state) {
    (void)state;
    struct {
        size_t at;
        uint8_t byte;
        enum ntp_verdict verdict;
    } cases[] = {
        {0, 4 << 3 | 3, NTP_NOT_A_REPLY},             /* another client's request */
        {0, 4 << 3 | 5, NTP_NOT_A_REPLY},             /* broadcast */
        {0, 7 << 3 | 4, NTP_NOT_A_REPLY},             /* version 7 */
        {0, 1 << 3 | 4, NTP_NOT_A_REPLY},             /* version 1 */
        {0, 3 << 6 | 4 << 3 | 4, NTP_UNSYNCHRONIZED}, /* leap 3 */
        {1, 16, NTP_UNSYNCHRONIZED},
        {1, 255, NTP_UNSYNCHRONIZED},
        {1, 0, NTP_KISS},
        {5, 32, NTP_INSANE}, /* root delay 32 s */
        {9, 16, NTP_INSANE}, /* root dispersion 16 s */
        {31, 5, NTP_STRANGER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t reply[NTP_PACKET];
        struct ntp_sample sample;
        good_reply(reply);
        reply[cases[i].at] = cases[i].byte;
        assert_int_equal(judge(reply, &sample), cases[i].verdict);
    }
}

static void missing_or_reversed_times_are_insane(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    good_reply(reply);
    memset(reply + 40, 0, 8);
    assert_int_equal(judge(reply, &sample), NTP_INSANE);
    good_reply(reply);
    memset(reply + 32, 0, 8);
    assert_int_equal(judge(reply, &sample), NTP_INSANE);
    good_reply(reply);
    put_time(reply + 40, sent + 5); /* sent before it was received */
    assert_int_equal(judge(reply, &sample), NTP_INSANE);
    good_reply(reply);
    put_time(reply + 40, sent + 10); /* held for longer than we waited */
    assert_int_equal(judge(reply, &sample), NTP_INSANE);
}

static void every_length_below_48_is_short(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    good_reply(reply);
    for (size_t len = 0; len < NTP_PACKET; len++) {
        assert_int_equal(ntp_judge(reply, len, cookie, sent, elapsed, &sample), NTP_SHORT);
    }
}

static void a_kiss_tells_its_code(void **state) {
    (void)state;
    uint8_t reply[NTP_PACKET];
    struct ntp_sample sample;
    good_reply(reply);
    reply[0] = 3 << 6 | 4 << 3 | 4;
    reply[1] = 0;
    memcpy(reply + 12, "RATE", 4);
    assert_int_equal(judge(reply, &sample), NTP_KISS);
    assert_string_equal(sample.kiss, "RATE");
    memcpy(reply + 12, "\x1b\n\xff\0", 4);
    assert_int_equal(judge(reply, &sample), NTP_KISS);
    assert_string_equal(sample.kiss, "....");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_shows_the_cookie_and_nothing_else),
        cmocka_unit_test(offset_and_delay_follow_rfc_5905),
        cmocka_unit_test(an_offset_of_years_is_a_measurement_too),
        cmocka_unit_test(the_era_that_ends_in_2036_is_crossed),
        cmocka_unit_test(replies_that_prove_nothing_are_refused),
        cmocka_unit_test(missing_or_reversed_times_are_insane),
        cmocka_unit_test(every_length_below_48_is_short),
        cmocka_unit_test(a_kiss_tells_its_code),
    };
    return cmocka_run_group_tests_name("ntp", tests, NULL, NULL);
}
