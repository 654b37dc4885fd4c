#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guard/guard.h"

static volatile uint64_t work;

static void spin_ms(long ms) {
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += ms * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    do {
        work++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

static void hangs(void) {
    guard_enter(17);
    for (;;) {
        work++;
    }
}

static void blocks(void) {
    guard_enter(18);
    for (;;) {
        pause();
    }
}

static void crashes(void) {
    guard_enter(19);
    raise(SIGSEGV);
}

static void is_quick_each_time(void) {
    for (int i = 0; i < 20; i++) {
        guard_enter(20);
        spin_ms(20);
        guard_leave();
    }
    _exit(0);
}

static void idles(void) {
    guard_enter(21);
    guard_leave();
    spin_ms(300);
    _exit(0);
}

/* Runs it in a child that is guarded with 100 ms; its status, and what it said. */
static int run(void (*body)(void), char *said, size_t len) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        if (guard_start(100)) {
            body();
        }
        _exit(1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], said, len - 1);
    said[n > 0 ? n : 0] = 0;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void who_does_not_come_back_is_named(void **state) {
    (void)state;
    char said[256];
    assert_int_equal(run(hangs, said, sizeof said), GUARD_STATUS);
    assert_string_equal(said, "guard: 17: did not come back within 100 ms\n");
    assert_int_equal(run(blocks, said, sizeof said), GUARD_STATUS);
    assert_string_equal(said, "guard: 18: did not come back within 100 ms\n");
}

static void who_crashes_is_named(void **state) {
    (void)state;
    char said[256];
    assert_int_equal(run(crashes, said, sizeof said), GUARD_STATUS);
    assert_string_equal(said, "guard: 19: died of signal 11\n");
}

static void many_short_visits_are_not_a_long_one(void **state) {
    (void)state;
    char said[256];
    assert_int_equal(run(is_quick_each_time, said, sizeof said), 0);
    assert_string_equal(said, "");
}

static void time_outside_does_not_count(void **state) {
    (void)state;
    char said[256];
    assert_int_equal(run(idles, said, sizeof said), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_come_back_is_named),
        cmocka_unit_test(who_crashes_is_named),
        cmocka_unit_test(many_short_visits_are_not_a_long_one),
        cmocka_unit_test(time_outside_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
