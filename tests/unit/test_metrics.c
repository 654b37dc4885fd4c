#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/metrics.h"

/* The number read from a body with this value in it. */
static double number(const char *text) {
    char body[256];
    struct metrics_reader r;
    struct metrics_entry e;
    snprintf(body, sizeof body, "[{\"value\":%s}]", text);
    metrics_open(&r, body, strlen(body));
    assert_int_equal(metrics_next(&r, &e), METRICS_ENTRY);
    assert_int_equal(e.kind, METRICS_NUMBER);
    return e.number;
}

static uint64_t bits(double value) {
    uint64_t all = 0;
    memcpy(&all, &value, sizeof all);
    return all;
}

static void numbers_are_read_to_the_last_bit(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "7",
        "-12",
        "0.1",
        "0.3",
        "97.18",
        "123456.789",
        "1e22",
        "1e23",
        "1e-7",
        "5e-324",
        "2.5E+3",
        "0.1e1",
        "9007199254740992",
        "1.5e308",
        "1e-400",
        "0.000001",
        "100.000",
        "99999999999999.9",
        "4503599627370497.5",
        "-9007199254740993",
        "3.141592653589793238462643383279",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double wanted = strtod(texts[i], NULL);
        double got = number(texts[i]);
        if (bits(wanted) != bits(got)) {
            fail_msg("%s: %.17g instead of %.17g", texts[i], got, wanted);
        }
    }
}

static void random_decimals_are_read_to_the_last_bit(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char text[64];
        snprintf(text, sizeof text, "%lld.%0*llu", (long long)(seed % 100000), (int)(seed % 11) + 1,
                 (unsigned long long)((seed >> 20) % 10));
        double wanted = strtod(text, NULL);
        double got = number(text);
        assert_int_equal(bits(wanted), bits(got));
    }
}

static void texts_lose_their_escapes(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
        {"\\ud83d", "\xef\xbf\xbd"},
        {"\\ud83dx", "\xef\xbf\xbdx"},
        {"\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\\ud83d\\u0041", "\xef\xbf\xbd"
                           "A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char to[64];
        struct metrics_text text = {cases[i].from, strlen(cases[i].from), true};
        size_t n = metrics_unescape(text, to);
        assert_int_equal(n, strlen(cases[i].to));
        assert_memory_equal(to, cases[i].to, n);
    }
}

static void tags_are_walked_in_order(void **state) {
    (void)state;
    const char *body = "[{\"tags\" : { \"a\" : \"1\" , \"b\\n\":null, \"c\":\"\" } ,\"value\":1}]";
    struct metrics_reader r;
    struct metrics_entry e;
    metrics_open(&r, body, strlen(body));
    assert_int_equal(metrics_next(&r, &e), METRICS_ENTRY);
    struct metrics_text key;
    struct metrics_text value;
    char seen[64] = "";
    for (size_t at = e.tags; metrics_next_tag(&r, &at, &key, &value);) {
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s=%.*s;", (int)key.len,
                 key.bytes, (int)value.len, value.bytes);
    }
    assert_string_equal(seen, "a=1;b\\n=;c=;");
    assert_int_equal(metrics_next(&r, &e), METRICS_END);
    assert_int_equal(metrics_next(&r, &e), METRICS_END);
}

static void every_cut_of_a_body_is_refused(void **state) {
    (void)state;
    const char *body =
        "[{\"name\":\"a\\u0041\",\"timestamp\":-12,\"tags\":{\"k\":\"v\",\"l\":null},\"value\":"
        "1.5e3,\"x\":[{\"a\":[true,null]},{}]},{\"value\":\"s\"}]";
    size_t whole = strlen(body);
    for (size_t n = 0; n <= whole; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, body, n);
        cut[n] = 0;
        struct metrics_reader r;
        struct metrics_entry e;
        enum metrics_event event;
        metrics_open(&r, cut, n);
        while ((event = metrics_next(&r, &e)) == METRICS_ENTRY) {
        }
        assert_int_equal(event, n == whole ? METRICS_END : METRICS_BAD);
        free(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_to_the_last_bit),
        cmocka_unit_test(random_decimals_are_read_to_the_last_bit),
        cmocka_unit_test(texts_lose_their_escapes),
        cmocka_unit_test(tags_are_walked_in_order),
        cmocka_unit_test(every_cut_of_a_body_is_refused),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
