#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/mark.h"

static void each_run_has_a_mark_of_its_own(void **state) {
    (void)state;
    struct marks m;
    marks_init(&m, RLIM_INFINITY);
    assert_int_equal(mark_run(&m, RLIM_INFINITY), 0);
    uint32_t one = marks_next(&m), two = marks_next(&m);
    assert_int_not_equal(one, 0);
    assert_int_not_equal(two, one);
    assert_int_equal(mark_run(&m, mark_limit(&m, one)), one);
    assert_int_equal(mark_run(&m, mark_limit(&m, two)), two);
    assert_int_equal(mark_run(&m, RLIM_INFINITY), 0);
    assert_int_equal(mark_run(&m, mark_limit(&m, two + 1)), 0); /* not given yet */
    assert_int_equal(mark_run(&m, 1000000), 0);                 /* somebody's real limit */
}

static void runs_of_a_program_like_us_belong_to_our_run_of_it(void **state) {
    (void)state;
    struct marks ours, its;
    marks_init(&ours, RLIM_INFINITY);
    uint32_t before = marks_next(&ours), run = marks_next(&ours);
    marks_init(&its, mark_limit(&ours, run));
    for (int i = 0; i < 1000; i++) {
        uint32_t inner = marks_next(&its);
        assert_int_equal(mark_run(&its, mark_limit(&its, inner)), inner);
        assert_int_equal(mark_run(&ours, mark_limit(&its, inner)), run);
        assert_true(mark_limit(&its, inner) < mark_limit(&ours, run));
    }
    assert_int_equal(mark_run(&its, mark_limit(&ours, before)), 0);
}

static void numbers_begin_anew_when_they_are_used_up(void **state) {
    (void)state;
    struct marks m;
    marks_init(&m, RLIM_INFINITY);
    uint32_t first = marks_next(&m);
    m.last = (1U << 30) - 2;
    uint32_t last = marks_next(&m);
    assert_int_equal(mark_run(&m, mark_limit(&m, last)), last);
    assert_true(mark_limit(&m, last) > 0);
    assert_int_equal(marks_next(&m), first);
}

static void a_low_limit_leaves_no_room_for_marks(void **state) {
    (void)state;
    struct marks m;
    marks_init(&m, 950000); /* as systemd's LimitRTTIME might have it */
    assert_int_equal(marks_next(&m), 0);
    assert_int_equal(mark_run(&m, 950000), 0);
}

static void the_hard_limit_is_read(void **state) {
    (void)state;
    assert_int_equal(mark_parse("Limit     Soft Limit   Hard Limit   Units     \n"
                                "Max nice priority         0                    0   \n"
                                "Max realtime timeout      17                   18   us        \n"),
                     18);
    assert_true(mark_parse("\nMax realtime timeout      unlimited            unlimited    us\n") ==
                RLIM_INFINITY);
    assert_true(mark_parse("\nMax realtime timeout ") == RLIM_INFINITY);
    assert_true(mark_parse("") == RLIM_INFINITY);
}

/* As a double-forked daemon: told by its number, then gone. */
static void grandchild(const struct rlimit *mark, int tell) {
    setrlimit(RLIMIT_RTTIME, mark);
    setsid();
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        pause();
    }
    _exit(write(tell, &pid, sizeof pid) == sizeof pid ? 0 : 1);
}

static void whoever_descends_from_a_run_bears_its_mark_dead_or_alive(void **state) {
    (void)state;
    struct marks m;
    int tell[2];
    marks_init(&m, RLIM_INFINITY);
    marks_next(&m);
    uint32_t run = marks_next(&m);
    struct rlimit mark = {mark_limit(&m, run), mark_limit(&m, run)};
    assert_int_equal(pipe(tell), 0);
    pid_t child = fork(), daemon = 0;
    if (child == 0) {
        grandchild(&mark, tell[1]);
    }
    assert_int_equal(read(tell[0], &daemon, sizeof daemon), sizeof daemon);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    uint32_t of_zombie = mark_run_of(&m, child), of_daemon = mark_run_of(&m, daemon);
    kill(daemon, SIGKILL);
    waitpid(child, NULL, 0);
    close(tell[0]);
    close(tell[1]);
    assert_int_equal(of_zombie, run);
    assert_int_equal(of_daemon, run);
    assert_int_equal(mark_run_of(&m, getpid()), 0);
    assert_int_equal(mark_run_of(&m, child), 0); /* there is nobody any more */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_run_has_a_mark_of_its_own),
        cmocka_unit_test(runs_of_a_program_like_us_belong_to_our_run_of_it),
        cmocka_unit_test(numbers_begin_anew_when_they_are_used_up),
        cmocka_unit_test(a_low_limit_leaves_no_room_for_marks),
        cmocka_unit_test(the_hard_limit_is_read),
        cmocka_unit_test(whoever_descends_from_a_run_bears_its_mark_dead_or_alive),
    };
    return cmocka_run_group_tests_name("mark", tests, NULL, NULL);
}
