#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <utmp.h>

#include "proc/utmp.h"

static struct utmp record_of(short type, const char *user, const char *line, const char *host) {
    struct utmp record;
    memset(&record, 0, sizeof record);
    record.ut_type = type;
    strncpy(record.ut_user, user, sizeof record.ut_user);
    strncpy(record.ut_line, line, sizeof record.ut_line);
    strncpy(record.ut_host, host, sizeof record.ut_host);
    record.ut_tv.tv_sec = 1700000000;
    return record;
}

static bool parse(const struct utmp *record, enum utmp_kind kind, struct utmp_login *login) {
    return utmp_login((const uint8_t *)record, sizeof *record, kind, login);
}

static void a_login_of_wtmp_gives_user_terminal_host_and_time(void **state) {
    (void)state;
    struct utmp record = record_of(USER_PROCESS, "alice", "pts/0", "10.0.0.7");
    struct utmp_login login;
    assert_true(parse(&record, UTMP_LOGINS, &login));
    assert_string_equal(login.user, "alice");
    assert_string_equal(login.device, "pts/0");
    assert_string_equal(login.remote, "10.0.0.7");
    assert_int_equal(login.time, 1700000000);
}

static void logouts_boots_and_runlevels_are_no_logins(void **state) {
    (void)state;
    const short others[] = {EMPTY,      RUN_LVL,      BOOT_TIME,     NEW_TIME,
                            OLD_TIME,   INIT_PROCESS, LOGIN_PROCESS, DEAD_PROCESS,
                            ACCOUNTING, -1,           1000};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct utmp record = record_of(others[i], "alice", "pts/0", "");
        struct utmp_login login;
        assert_false(parse(&record, UTMP_LOGINS, &login));
    }
}

static void btmp_counts_login_process_too(void **state) {
    (void)state;
    struct utmp record = record_of(LOGIN_PROCESS, "root", "ssh:notty", "203.0.113.9");
    struct utmp_login login;
    assert_true(parse(&record, UTMP_FAILURES, &login));
    record.ut_type = DEAD_PROCESS;
    assert_false(parse(&record, UTMP_FAILURES, &login));
}

static void fields_without_a_nul_are_used_to_their_full_width(void **state) {
    (void)state;
    struct utmp record = record_of(USER_PROCESS, "", "", "");
    memset(record.ut_user, 'u', sizeof record.ut_user);
    memset(record.ut_line, 'l', sizeof record.ut_line);
    memset(record.ut_host, 'h', sizeof record.ut_host);
    struct utmp_login login;
    assert_true(parse(&record, UTMP_LOGINS, &login));
    assert_int_equal(strlen(login.user), UTMP_USER);
    assert_int_equal(strlen(login.device), UTMP_LINE);
    assert_int_equal(strlen(login.remote), UTMP_HOST);
}

static void control_characters_and_spaces_around_are_dropped(void **state) {
    (void)state;
    struct utmp record = record_of(USER_PROCESS, " a\x1b[1m\n b\x7f ", "  ", "\t");
    struct utmp_login login;
    assert_true(parse(&record, UTMP_LOGINS, &login));
    assert_string_equal(login.user, "a[1m b");
    assert_string_equal(login.device, "");
    assert_string_equal(login.remote, "");
}

static void times_after_2038_stay_positive(void **state) {
    (void)state;
    uint8_t record[UTMP_RECORD] = {0};
    uint32_t late = 2500000000u;
    memcpy(record + 340, &late, sizeof late);
    assert_int_equal(utmp_time(record, sizeof record), 2500000000);
}

static void the_wide_layout_keeps_its_time_in_64_bits(void **state) {
    (void)state;
    uint8_t record[UTMP_RECORD_WIDE] = {USER_PROCESS};
    int64_t time = 5000000000;
    memcpy(record + 344, &time, sizeof time);
    struct utmp_login login;
    assert_true(utmp_login(record, sizeof record, UTMP_LOGINS, &login));
    assert_int_equal(login.time, 5000000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_of_wtmp_gives_user_terminal_host_and_time),
        cmocka_unit_test(logouts_boots_and_runlevels_are_no_logins),
        cmocka_unit_test(btmp_counts_login_process_too),
        cmocka_unit_test(fields_without_a_nul_are_used_to_their_full_width),
        cmocka_unit_test(control_characters_and_spaces_around_are_dropped),
        cmocka_unit_test(times_after_2038_stay_positive),
        cmocka_unit_test(the_wide_layout_keeps_its_time_in_64_bits),
    };
    return cmocka_run_group_tests_name("utmp", tests, NULL, NULL);
}
