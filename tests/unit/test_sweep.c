#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/sweep.h"
#include "proc/task.h"

enum { CHILDREN = 12 };

#define STAT_TAIL                                                                                  \
    " 1 2 3 0 -1 4194560 5 6 7 8 100 23 0 0 -2 -19 1 0 4711 1000000 321 18446744073709551615 1\n"

static bool parse(const char *text, struct proc_task *task) {
    return proc_task_stat(text, strlen(text), task);
}

static void stat_is_read_behind_any_name(void **state) {
    (void)state;
    const char *const lines[] = {
        "7 (x) S" STAT_TAIL,   "7 () S" STAT_TAIL,          "7 (a b) R 9 (c) S" STAT_TAIL,
        "7 ()))) S" STAT_TAIL, "7 (new\nline) S" STAT_TAIL,
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct proc_task task;
        assert_true(parse(lines[i], &task));
        assert_int_equal(task.state, 'S');
        assert_int_equal(task.ticks, 123);
        assert_int_equal(task.start, 4711);
        assert_int_equal(task.pages, 321);
    }
}

static void stat_cut_anywhere_is_none(void **state) {
    (void)state;
    const char line[] = "7 (x) S" STAT_TAIL;
    size_t needed = (size_t)(strstr(line, " 321 ") - line) + strlen(" 321 ");
    for (size_t n = 0; n < sizeof line - 1; n++) {
        struct proc_task task;
        char *copy = malloc(n ? n : 1); /* so that a sanitizer sees the end */
        memcpy(copy, line, n);
        assert_int_equal(proc_task_stat(copy, n, &task), n >= needed);
        free(copy);
    }
}

static void stat_with_other_than_numbers_is_none(void **state) {
    (void)state;
    struct proc_task task;
    assert_false(parse("7 (x) S 1 2 3 0 -1 4 5 6 7 8 -1 23 0 0 20 0 1 0 4711 1 321 1\n", &task));
    assert_false(parse("7 (x) S 1 2 3 0 -1 4 5 6 7 8 1 23 0 0 20 0 1 0 47x11 1 321 1\n", &task));
    assert_false(
        parse("7 (x) S 1 2 3 0 -1 4 5 6 7 8 18446744073709551615 1 0 0 20 0 1 0 1 1 1 1\n", &task));
    assert_true(
        parse("7 (x) S 1 2 3 0 -1 4 5 6 7 8 18446744073709551615 0 0 0 20 0 1 0 1 1 1 1\n", &task));
}

static bool parse_io(const char *text, uint64_t *read, uint64_t *written) {
    return proc_task_io(text, strlen(text), read, written);
}

static void io_is_what_reached_storage(void **state) {
    (void)state;
    uint64_t read = 0;
    uint64_t written = 0;
    assert_true(parse_io("rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: "
                         "18446744073709551615\ncancelled_write_bytes: 6\n",
                         &read, &written));
    assert_int_equal(read, 4096);
    assert_int_equal(written, UINT64_MAX);
    assert_false(parse_io("", &read, &written));
    assert_false(parse_io("read_bytes: 1\n", &read, &written));
    assert_false(parse_io("read_bytes: 1\nwrite_bytes: 2", &read, &written));
    assert_false(parse_io("read_bytes: -1\nwrite_bytes: 2\n", &read, &written));
}

static char own_path[PROC_SWEEP_PATH];

static struct proc_sweep *sweep_for(const char *path, uint64_t until) {
    int root = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_path paths[] = {{"/nowhere", 8}, {path, strlen(path)}};
    int error = 0;
    struct proc_sweep *s = proc_sweep_open(root, paths, 2, &error);
    assert_non_null(s);
    close(root);
    int rc;
    while ((rc = proc_sweep_step(s, until)) == 0) {
    }
    assert_int_equal(rc, 1);
    assert_int_equal(proc_sweep_step(s, until), 1);
    return s;
}

static const struct proc_match *match_of(const struct proc_sweep *s, pid_t pid) {
    size_t count = 0;
    const struct proc_match *matches = proc_sweep_matches(s, 1, &count);
    for (size_t i = 0; i < count; i++) {
        if (matches[i].pid == pid) {
            return &matches[i];
        }
    }
    return NULL;
}

static unsigned descriptors(const char *folder) {
    unsigned n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        n += entry->d_name[0] != '.';
    }
    closedir(dir);
    return n - (strcmp(folder, "/proc/self/fd") == 0); /* that of the directory itself */
}

static void start_children(pid_t *children, int pipes) {
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (int n = 0; n < pipes; n++) {
                int ends[2];
                if (pipe(ends) != 0) {
                    _exit(1);
                }
            }
            raise(SIGSTOP);
            pause();
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        waitpid(children[i], NULL, WUNTRACED);
    }
}

static void end_children(const pid_t *children) {
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

static void walk_finds_the_same_in_slices_and_at_once(void **state) {
    (void)state;
    pid_t children[CHILDREN];
    start_children(children, 300); /* more descriptors than one buffer of entries holds */
    unsigned before = descriptors("/proc/self/fd");
    struct proc_sweep *at_once = sweep_for(own_path, UINT64_MAX);
    struct proc_sweep *slices = sweep_for(own_path, 0);
    assert_int_equal(descriptors("/proc/self/fd"), before);
    for (int i = 0; i < CHILDREN; i++) {
        const struct proc_match *a = match_of(at_once, children[i]);
        const struct proc_match *b = match_of(slices, children[i]);
        assert_non_null(a);
        assert_non_null(b);
        char folder[32];
        snprintf(folder, sizeof folder, "/proc/%d/fd", children[i]);
        assert_int_equal(a->fds, descriptors(folder));
        assert_true(a->fds >= 600);
        assert_int_equal(b->fds, a->fds);
        assert_true(a->fds_known && a->pages > 0 && !a->deleted && a->start > 0);
        assert_ptr_equal(proc_sweep_before(at_once, slices, b), a);
    }
    assert_non_null(match_of(slices, getpid()));
    size_t count = 1;
    assert_null(proc_sweep_matches(slices, 0, &count));
    assert_int_equal(count, 0);
    assert_null(proc_sweep_matches(slices, 2, &count));
    end_children(children);
    struct proc_sweep *after = sweep_for(own_path, UINT64_MAX);
    assert_null(match_of(after, children[0]));
    assert_non_null(match_of(after, getpid()));
    proc_sweep_close(at_once);
    proc_sweep_close(slices);
    proc_sweep_close(after);
}

static void sums_leave_out_what_has_no_sample_before(void **state) {
    (void)state;
    struct proc_sums sums = {0};
    struct proc_match old = {.ticks = 5, .read = 10, .written = 20, .io_known = true};
    struct proc_match now = {.ticks = 8,
                             .read = 11,
                             .written = 22,
                             .io_known = true,
                             .fds = 3,
                             .fds_known = true,
                             .pages = 4};
    proc_sums_add(&sums, &now, &old);
    proc_sums_add(&sums, &now, NULL);
    assert_int_equal(sums.processes, 2);
    assert_int_equal(sums.measured, 1);
    assert_int_equal(sums.ticks, 3);
    assert_int_equal(sums.read, 1);
    assert_int_equal(sums.written, 2);
    assert_int_equal(sums.fds, 6);
    assert_int_equal(sums.pages, 8);
    now.written = 19; /* backwards: neither of the two counts */
    now.ticks = 4;
    proc_sums_add(&sums, &now, &old);
    assert_int_equal(sums.measured, 1);
    assert_int_equal(sums.io_measured, 1);
    assert_int_equal(sums.read, 1);
    now.io_known = now.fds_known = false;
    proc_sums_add(&sums, &now, &old);
    assert_int_equal(sums.no_io, 1);
    assert_int_equal(sums.no_fds, 1);
}

static void walk_that_is_given_up_closes_all(void **state) {
    (void)state;
    unsigned before = descriptors("/proc/self/fd");
    int root = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_path path = {own_path, strlen(own_path)};
    int error = 0;
    struct proc_sweep *s = proc_sweep_open(root, &path, 1, &error);
    proc_sweep_step(s, 0);
    proc_sweep_close(s);
    close(root);
    assert_int_equal(descriptors("/proc/self/fd"), before);
    assert_null(proc_sweep_open(-1, &path, 1, &error));
    assert_int_equal(error, -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_is_read_behind_any_name),
        cmocka_unit_test(stat_cut_anywhere_is_none),
        cmocka_unit_test(stat_with_other_than_numbers_is_none),
        cmocka_unit_test(io_is_what_reached_storage),
        cmocka_unit_test(walk_finds_the_same_in_slices_and_at_once),
        cmocka_unit_test(sums_leave_out_what_has_no_sample_before),
        cmocka_unit_test(walk_that_is_given_up_closes_all),
    };
    ssize_t n = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    own_path[n > 0 ? n : 0] = 0;
    return cmocka_run_group_tests_name("proc sweep", tests, NULL, NULL);
}
