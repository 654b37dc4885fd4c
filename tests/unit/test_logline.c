#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/logline.h"

#define TEXT(s) ((struct log_text){(s), sizeof(s) - 1})

static const char *body(enum log_format format, const struct log_record *record) {
    static char out[LOGLINE_MAX + 1];
    out[logline_body(format, record, out, LOGLINE_MAX)] = '\0';
    return out;
}

static void text_quotes_only_what_needs_it(void **state) {
    (void)state;
    struct log_field fields[] = {
        {TEXT("ns"), TEXT("web.shop.loda"), false},
        {TEXT("n"), TEXT("12"), true},
        {TEXT("why"), TEXT("no \"such\" host"), false},
        {TEXT("empty"), TEXT(""), false},
        {TEXT("eq"), TEXT("a=b"), false},
        {TEXT("back"), TEXT("a\\b"), false},
    };
    struct log_record r = {LOG_INFO, TEXT("outbox"), TEXT("sent it"), fields, 6};
    assert_string_equal(body(LOG_TEXT, &r),
                        "INFO outbox: sent it ns=web.shop.loda n=12 why=\"no \\\"such\\\" host\" "
                        "empty=\"\" eq=\"a=b\" back=\"a\\\\b\"");
}

static void text_holds_no_control_character_and_no_broken_utf8(void **state) {
    (void)state;
    struct log_field field = {TEXT("k y\n"), TEXT("\x1b[31m\xc2\x9b\xff"), false};
    struct log_record r = {LOG_ERROR, TEXT("p\n"), TEXT("a\nb\tc\r\x01\x7f \xc3\xbc \xe2\x82"),
                           &field, 1};
    assert_string_equal(body(LOG_TEXT, &r),
                        "ERROR p\\n: a\\nb\\tc\\r\\x01\\x7f \xc3\xbc \\xe2\\x82 "
                        "k_y_=\"\\x1b[31m\\xc2\\x9b\\xff\"");
}

static void json_is_an_object_with_the_fields_beside(void **state) {
    (void)state;
    struct log_field fields[] = {{TEXT("n"), TEXT("1.5"), true},
                                 {TEXT("message"), TEXT("x"), false},
                                 {TEXT("s"), TEXT("a\"\\\n\xff"), false}};
    struct log_record r = {LOG_WARNING, TEXT("exec"), TEXT("died \x01"), fields, 3};
    assert_string_equal(
        body(LOG_JSON, &r),
        "\"level\":\"WARNING\",\"part\":\"exec\",\"message\":\"died \\u0001\",\"n\":1.5,"
        "\"field_message\":\"x\",\"s\":\"a\\\"\\\\\\n\\ufffd\"}");
}

static void a_long_line_is_cut_at_a_character(void **state) {
    (void)state;
    char *long_text = malloc(100001);
    assert_non_null(long_text);
    for (size_t i = 0; i < 100000; i += 2) {
        long_text[i] = '\xc3';
        long_text[i + 1] = '\xbc';
    }
    struct log_field field = {TEXT("k"), TEXT("v"), false};
    struct log_record r = {LOG_INFO, TEXT("p"), {long_text, 100000}, &field, 1};
    const char *line = body(LOG_TEXT, &r);
    size_t n = strlen(line);
    assert_true(n <= LOGLINE_MAX && n > LOGLINE_MAX - 8);
    assert_memory_equal(line + n - 5, "\xc3\xbc\xe2\x80\xa6", 5);
    line = body(LOG_JSON, &r);
    n = strlen(line);
    assert_true(n <= LOGLINE_MAX);
    assert_memory_equal(line + n - 7, "\xc3\xbc\xe2\x80\xa6\"}", 7);
    r.message = TEXT("short");
    field.value = (struct log_text){long_text, 100000};
    line = body(LOG_JSON, &r);
    assert_string_equal(line, "\"level\":\"INFO\",\"part\":\"p\",\"message\":\"short\"}");
    free(long_text);
}

static void the_head_is_local_time_with_microseconds(void **state) {
    (void)state;
    setenv("TZ", "XXX-05:30", 1);
    tzset();
    char out[64];
    out[logline_head(LOG_TEXT, 1714557600000123456, out, sizeof out)] = '\0';
    assert_string_equal(out, "2024-05-01 15:30:00.000123 ");
    out[logline_head(LOG_JSON, 1714557600999999999, out, sizeof out)] = '\0';
    assert_string_equal(out, "{\"time\":\"2024-05-01T15:30:00.999999+05:30\",");
    unsetenv("TZ");
    tzset();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_quotes_only_what_needs_it),
        cmocka_unit_test(text_holds_no_control_character_and_no_broken_utf8),
        cmocka_unit_test(json_is_an_object_with_the_fields_beside),
        cmocka_unit_test(a_long_line_is_cut_at_a_character),
        cmocka_unit_test(the_head_is_local_time_with_microseconds),
    };
    return cmocka_run_group_tests_name("logline", tests, NULL, NULL);
}
