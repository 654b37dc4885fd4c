#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "exec/child.h"
#include "exec/family.h"

struct seen {
    struct exec_result result;
    char out[64];
    int done, closed;
};

static void on_done(void *ctx, const struct exec_result *r) {
    struct seen *seen = ctx;
    seen->done++;
    seen->result = *r;
    size_t n = r->out->len < sizeof seen->out - 1 ? r->out->len : sizeof seen->out - 1;
    if (n) {
        memcpy(seen->out, r->out->data, n);
    }
}

static void on_closed(void *ctx) {
    ((struct seen *)ctx)->closed++;
}

static const struct exec_events events = {.done = on_done, .closed = on_closed};

struct fixture {
    uv_loop_t loop;
    struct exec_room *room;
};

static int open_loop(void **state) {
    static struct fixture f; /* one test at a time */
    uv_loop_init(&f.loop);
    f.room = exec_room_open(&f.loop);
    *state = &f;
    return f.room ? 0 : -1;
}

static int close_loop(void **state) {
    struct fixture *f = *state;
    exec_room_close(f->room);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&f->loop);
}

static struct exec_options shell(const char **argv, const char *script) {
    static char *no_env[] = {NULL};
    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = script;
    argv[3] = NULL;
    return (struct exec_options){
        .plan = {.path = argv[0], .argv = (char *const *)argv, .envp = no_env},
        .deadline_ms = 10000,
        .grace_ms = 100,
        .max_output = 1000,
    };
}

/* Runs to the end of everything: a handle left open would hang the test. */
static struct seen run(struct fixture *f, const struct exec_options *o) {
    struct seen seen = {.done = 0};
    int error = 0;
    const char *step = NULL;
    assert_non_null(exec_start(f->room, o, &events, &seen, &error, &step));
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.closed, 1);
    return seen;
}

static void a_child_ends_with_its_status_and_output(void **state) {
    const char *argv[4];
    struct exec_options o = shell(argv, "echo hello; exit 5");
    struct seen seen = run(*state, &o);
    assert_int_equal(seen.result.code, 5);
    assert_int_equal(seen.result.signal, 0);
    assert_string_equal(seen.out, "hello\n");
}

static void a_child_that_ignores_term_is_killed(void **state) {
    const char *argv[4];
    struct exec_options o = shell(argv, "trap '' TERM; while :; do sleep 1; done");
    o.deadline_ms = 200;
    struct seen seen = run(*state, &o);
    assert_true(seen.result.timed_out);
    assert_int_equal(seen.result.signal, SIGKILL);
}

/* Orphans of the test before, which its room left dying. */
static void reap_all(void) {
    while (waitpid(-1, NULL, 0) > 0) {
    }
}

static void a_failed_start_says_where_and_leaves_nothing(void **state) {
    struct fixture *f = *state;
    const char *argv[4];
    struct exec_options o = shell(argv, "exit 0");
    o.plan.cwd = "/nowhere";
    pid_t children[8];
    reap_all();
    struct seen seen = run(f, &o);
    assert_int_equal(seen.result.error, ENOENT);
    assert_string_equal(seen.result.step, "chdir");
    assert_int_equal(family_children(getpid(), children, 8), 0);
}

static void closing_the_room_kills_what_runs_and_calls_nobody(void **state) {
    struct fixture *f = *state;
    const char *argv[4];
    struct exec_options o = shell(argv, "trap '' TERM; sleep 100");
    struct seen seen = {.done = 0};
    int error = 0;
    const char *step = NULL;
    struct exec_child *child = exec_start(f->room, &o, &events, &seen, &error, &step);
    assert_non_null(child);
    while (exec_pid(child) == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    pid_t pid = exec_pid(child);
    exec_room_close(f->room);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.done, 0);
    struct family_stat st;
    for (int i = 0; i < 500 && family_read_stat(pid, &st) && st.state != 'Z'; i++) {
        usleep(10000);
    }
    assert_true(!family_read_stat(pid, &st) || st.state == 'Z');
    f->room = exec_room_open(&f->loop); /* for close_loop() */
}

static void a_name_with_parentheses_does_not_confuse_the_parser(void **state) {
    (void)state;
    struct family_stat st;
    assert_true(family_parse_stat(
        "17 (evil) Z (x) R 2 3 4 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 5 0 0", &st));
    assert_int_equal(st.state, 'R');
    assert_int_equal(st.parent, 2);
    assert_int_equal(st.group, 3);
    assert_int_equal(st.session, 4);
    assert_int_equal(st.start, 5);
    assert_false(family_parse_stat("17 (a) R 2 3", &st));
    assert_false(family_parse_stat("", &st));
}

static void our_own_start_lies_before_now(void **state) {
    (void)state;
    struct family_stat st;
    assert_true(family_read_stat(getpid(), &st));
    assert_int_equal(st.parent, getppid());
    assert_true(st.start <= family_ticks());
    assert_true(st.start + 100 * 3600 > family_ticks());
}

static pid_t start_breeding(void) {
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        execl("/bin/sh", "sh", "-c", "while :; do (setsid sleep 9 & wait) & sleep 0.002; done",
              NULL);
        _exit(127);
    }
    return pid;
}

static int count_moving(const struct kin *all, int n) {
    int moving = 0;
    struct family_stat st;
    for (int i = 0; i < n; i++) {
        moving += all[i].pid && family_read_stat(all[i].pid, &st) && !strchr("TZX", st.state);
    }
    return moving;
}

static void a_family_that_breeds_stands_still_and_is_killed_whole(void **state) {
    (void)state;
    static struct kin all[KIN_MAX];
    all[0] = (struct kin){.pid = start_breeding()};
    pid_t children[20];
    for (int i = 0; i < 5000 && family_children(all[0].pid, children, 20) < 20; i++) {
        usleep(1000);
    }
    int n = family_stop(all, 1, 5000), moving = count_moving(all, n);
    int again = family_stop(all, n, 5000); /* nobody was born meanwhile */
    family_kill(all, n);
    assert_int_equal(waitpid(all[0].pid, NULL, 0), all[0].pid);
    assert_true(n > 30); /* most have a sleep of their own by now */
    assert_int_equal(moving, 0);
    assert_int_equal(again, n);
    for (int i = 1; i < n; i++) { /* killed; whoever adopted them reaps them */
        struct family_stat st;
        for (int ms = 0; ms < 5000 && family_read_stat(all[i].pid, &st) && st.state == 'T'; ms++) {
            usleep(1000);
        }
        assert_false(family_read_stat(all[i].pid, &st) && st.state == 'T');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_child_ends_with_its_status_and_output, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_child_that_ignores_term_is_killed, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_failed_start_says_where_and_leaves_nothing, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(closing_the_room_kills_what_runs_and_calls_nobody,
                                        open_loop, close_loop),
        cmocka_unit_test(a_name_with_parentheses_does_not_confuse_the_parser),
        cmocka_unit_test(our_own_start_lies_before_now),
        cmocka_unit_test(a_family_that_breeds_stands_still_and_is_killed_whole),
    };
    return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
