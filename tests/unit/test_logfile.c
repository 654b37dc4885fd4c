#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/logfile.h"

static uv_loop_t loop;
static char dir[64];
static char path[128];
static uint64_t lost_lines;
static int lost_why;

static void on_lost(void *arg, uint64_t lines, int why) {
    (void)arg;
    lost_lines += lines;
    lost_why = why;
}

static int set_up(void **state) {
    (void)state;
    uv_loop_init(&loop);
    snprintf(dir, sizeof dir, "/tmp/test_logfile.XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/agent.log", dir);
    lost_lines = 0;
    lost_why = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < 12; i++) {
        char name[160];
        snprintf(name, sizeof name, i ? "%s.%d" : "%s", path, i);
        unlink(name);
    }
    return rmdir(dir);
}

static struct logfile *open_log(uint64_t size, unsigned count) {
    struct logfile_options o = {.path = path,
                                .rotate_size = size,
                                .rotate_count = count,
                                .buffer_max = 4096,
                                .on_lost = on_lost};
    struct logfile *f = logfile_new(&loop, &o);
    assert_non_null(f);
    return f;
}

static void say(struct logfile *f, const char *line) {
    logfile_append(f, line, strlen(line));
}

static void settle(void) {
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void assert_holds(int number, const char *expected) {
    char name[160];
    char text[4096] = "";
    snprintf(name, sizeof name, number ? "%s.%d" : "%s", path, number);
    FILE *file = fopen(name, "r");
    if (!file) {
        assert_null(expected);
        return;
    }
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    assert_non_null(expected);
    assert_string_equal(text, expected);
}

static void lines_are_appended_in_order(void **state) {
    (void)state;
    struct logfile *f = open_log(0, 0);
    say(f, "one\n");
    say(f, "two\n");
    settle();
    say(f, "three\n");
    settle();
    assert_holds(0, "one\ntwo\nthree\n");
    logfile_close(f);
}

static void missing_directories_are_made(void **state) {
    (void)state;
    char deep[160];
    snprintf(deep, sizeof deep, "%s/a/b/x.log", dir);
    struct logfile_options o = {.path = deep, .buffer_max = 4096};
    struct logfile *f = logfile_new(&loop, &o);
    say(f, "one\n");
    settle();
    logfile_close(f);
    assert_int_equal(unlink(deep), 0);
    deep[strlen(dir) + 4] = '\0';
    assert_int_equal(rmdir(deep), 0);
    deep[strlen(dir) + 2] = '\0';
    assert_int_equal(rmdir(deep), 0);
}

static void size_and_count_hold_across_restarts(void **state) {
    (void)state;
    const char *lines[] = {"1234567\n", "2234567\n", "3234567\n", "4234567\n",
                           "5234567\n", "6234567\n", "7234567\n"};
    for (int i = 0; i < 7; i++) {
        struct logfile *f = open_log(16, 2);
        say(f, lines[i]);
        settle();
        logfile_close(f);
    }
    assert_holds(0, "7234567\n");
    assert_holds(1, "5234567\n6234567\n");
    assert_holds(2, "3234567\n4234567\n");
    assert_holds(3, NULL);
}

static void one_large_batch_is_split_at_line_ends(void **state) {
    (void)state;
    struct logfile *f = open_log(10, 3);
    const char *batch = "aaaa\nbbbb\nlonger than the size\ncc\n";
    logfile_append(f, batch, strlen(batch));
    settle();
    assert_holds(0, "cc\n");
    assert_holds(1, "longer than the size\n");
    assert_holds(2, "aaaa\nbbbb\n");
    logfile_close(f);
}

static void a_lower_count_removes_the_files_above_it(void **state) {
    (void)state;
    struct logfile *f = open_log(4, 4);
    say(f, "aaa\nbbb\nccc\nddd\neee\n");
    settle();
    assert_holds(4, "aaa\n");
    struct logfile_options fewer = {
        .path = path, .rotate_size = 4, .rotate_count = 1, .buffer_max = 4096};
    assert_true(logfile_configure(f, &fewer));
    say(f, "fff\n");
    settle();
    assert_holds(0, "fff\n");
    assert_holds(1, "eee\n");
    assert_holds(2, NULL);
    assert_holds(4, NULL);
    logfile_close(f);
}

static void an_external_rename_or_removal_is_noticed(void **state) {
    (void)state;
    struct logfile *f = open_log(0, 0);
    say(f, "before\n");
    settle();
    char moved[160];
    snprintf(moved, sizeof moved, "%s.1", path);
    assert_int_equal(rename(path, moved), 0);
    say(f, "after\n");
    settle();
    assert_holds(1, "before\n");
    assert_holds(0, "after\n");
    unlink(path);
    say(f, "again\n");
    settle();
    assert_holds(0, "again\n");
    assert_int_equal(rename(path, moved), 0);
    fclose(fopen(path, "w")); /* logrotate's `create` */
    say(f, "new\n");
    settle();
    assert_holds(1, "again\n");
    assert_holds(0, "new\n");
    logfile_close(f);
}

static void a_full_disk_loses_counted_lines_and_says_so_afterwards(void **state) {
    (void)state;
    assert_int_equal(symlink("/dev/full", path), 0);
    struct logfile *f = open_log(100, 2);
    say(f, "one\ntwo\n");
    settle();
    assert_int_equal(logfile_lost(f), 2);
    assert_int_equal(lost_lines, 0);
    unlink(path);
    say(f, "three\n");
    settle();
    assert_holds(0, "three\n");
    assert_int_equal(lost_lines, 2);
    assert_int_equal(lost_why, ENOSPC);
    logfile_close(f);
}

static void a_line_cut_by_a_file_size_limit_does_not_run_into_the_next(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    struct rlimit small = {6, old.rlim_max};
    struct logfile *f = open_log(0, 0);
    setrlimit(RLIMIT_FSIZE, &small);
    say(f, "one\ntwo\n");
    settle();
    setrlimit(RLIMIT_FSIZE, &old);
    say(f, "three\n");
    settle();
    assert_holds(0, "one\ntw\nthree\n");
    assert_int_equal(lost_lines, 1);
    assert_int_equal(lost_why, EFBIG);
    logfile_close(f);
}

static void count_call(void *arg) {
    ++*(int *)arg;
}

static void flush_answers_from_the_loop_once_written(void **state) {
    (void)state;
    int calls = 0;
    struct logfile *f = open_log(0, 0);
    assert_true(logfile_flush(f, count_call, &calls));
    assert_int_equal(calls, 0);
    settle();
    assert_int_equal(calls, 1);
    say(f, "one\n");
    assert_true(logfile_flush(f, count_call, &calls));
    settle();
    assert_int_equal(calls, 2);
    assert_holds(0, "one\n");
    logfile_close(f);
}

static void drain_writes_all_without_the_loop(void **state) {
    (void)state;
    struct logfile *f = open_log(0, 0);
    say(f, "one\n");
    say(f, "two\n");
    assert_true(logfile_drain(f, 5000));
    assert_holds(0, "one\ntwo\n");
    logfile_close(f);
}

static void a_hung_disk_bounds_memory_and_does_not_hold_the_end(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    struct logfile *f = open_log(0, 0);
    say(f, "held\n"); /* open() of a pipe without a reader waits, as a dead disk does */
    char line[101];
    memset(line, 'x', 99);
    line[99] = '\n';
    line[100] = '\0';
    int taken = 0;
    for (int i = 0; i < 100; i++) {
        taken += logfile_append(f, line, 100);
    }
    assert_true(taken >= 38 && taken <= 41);
    assert_int_equal(logfile_lost(f), 100 - taken);
    assert_false(logfile_drain(f, 50));
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    settle();
    assert_int_equal(lost_lines, 100 - taken);
    assert_int_equal(lost_why, ENOBUFS);
    close(reader);
    logfile_close(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lines_are_appended_in_order),
        TEST(missing_directories_are_made),
        TEST(size_and_count_hold_across_restarts),
        TEST(one_large_batch_is_split_at_line_ends),
        TEST(a_lower_count_removes_the_files_above_it),
        TEST(an_external_rename_or_removal_is_noticed),
        TEST(a_full_disk_loses_counted_lines_and_says_so_afterwards),
        TEST(a_line_cut_by_a_file_size_limit_does_not_run_into_the_next),
        TEST(flush_answers_from_the_loop_once_written),
        TEST(drain_writes_all_without_the_loop),
        TEST(a_hung_disk_bounds_memory_and_does_not_hold_the_end),
    };
    return cmocka_run_group_tests_name("logfile", tests, NULL, NULL);
}
