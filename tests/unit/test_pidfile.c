#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/pidfile.h"

static char dir[64];
static char path[128];

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_pidfile.XXXXXX");
    snprintf(path, sizeof path, "%s/x.pid", mkdtemp(dir) ? dir : "");
    return dir[0] ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void put(const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A child that holds the pid file; it ends by TERM, or not at all when `deaf`. */
static pid_t start_holder(bool deaf) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = -1;
        pid_t other = 0;
        signal(SIGTERM, deaf ? SIG_IGN : SIG_DFL);
        char ok = pidfile_acquire(path, &fd, &other) == PIDFILE_OK ? 'y' : 'n';
        _exit(write(ready[1], &ok, 1) == 1 && ok == 'y' && pause() ? 0 : 1);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void the_file_holds_the_pid_without_a_newline(void **state) {
    (void)state;
    int fd = -1;
    pid_t pid = 0;
    umask(022);
    assert_int_equal(pidfile_acquire(path, &fd, &pid), PIDFILE_OK);
    char text[32] = "";
    char expected[32];
    int n = snprintf(expected, sizeof expected, "%d", (int)getpid());
    assert_int_equal(pread(fd, text, sizeof text - 1, 0), n);
    assert_string_equal(text, expected);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    pidfile_release(path, fd);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_second_holder_is_told_the_first_one(void **state) {
    (void)state;
    int fd = -1;
    int second = -1;
    pid_t pid = 0;
    assert_int_equal(pidfile_acquire(path, &fd, &pid), PIDFILE_OK);
    assert_int_equal(pidfile_acquire(path, &second, &pid), PIDFILE_HELD);
    assert_int_equal(pid, getpid());
    pid = 0;
    assert_int_equal(pidfile_holder(path, &pid), PIDFILE_HELD);
    assert_int_equal(pid, getpid());
    close(fd);
    assert_int_equal(pidfile_holder(path, &pid), PIDFILE_STALE);
    assert_int_equal(pidfile_acquire(path, &fd, &pid), PIDFILE_OK);
    pidfile_release(path, fd);
}

static void a_longer_stale_pid_is_overwritten(void **state) {
    (void)state;
    put("4194303999");
    int fd = -1;
    pid_t pid = 0;
    assert_int_equal(pidfile_acquire(path, &fd, &pid), PIDFILE_OK);
    assert_int_equal(pidfile_holder(path, &pid), PIDFILE_HELD);
    assert_int_equal(pid, getpid());
    pidfile_release(path, fd);
}

static void a_holder_that_has_not_written_its_pid_yet_has_none(void **state) {
    (void)state;
    put("1234");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    pid_t pid = 77;
    assert_int_equal(pidfile_holder(path, &pid), PIDFILE_HELD);
    assert_int_equal(pid, 0);
    close(fd);
}

static void a_link_is_not_followed(void **state) {
    (void)state;
    char target[160];
    snprintf(target, sizeof target, "%s/target", dir);
    assert_int_equal(symlink(target, path), 0);
    int fd = -1;
    pid_t pid = 0;
    assert_int_equal(pidfile_acquire(path, &fd, &pid), PIDFILE_ERROR);
    assert_int_equal(access(target, F_OK), -1);
}

static void stop_never_signals_a_pid_whose_lock_is_free(void **state) {
    (void)state;
    pid_t innocent = fork();
    if (innocent == 0) {
        _exit(pause());
    }
    char text[32];
    snprintf(text, sizeof text, "%d", (int)innocent);
    put(text);
    pid_t pid = 0;
    enum pidfile_answer answer = PIDFILE_OK;
    assert_int_equal(pidfile_stop(path, SIGTERM, 100, &pid, &answer), PIDFILE_NOT_RUNNING);
    assert_int_equal(answer, PIDFILE_STALE);
    assert_int_equal(waitpid(innocent, NULL, WNOHANG), 0);
    kill(innocent, SIGKILL);
    waitpid(innocent, NULL, 0);
    unlink(path);
    assert_int_equal(pidfile_stop(path, SIGTERM, 100, &pid, &answer), PIDFILE_NOT_RUNNING);
    assert_int_equal(answer, PIDFILE_ABSENT);
}

static void stop_returns_when_the_holder_has_ended(void **state) {
    (void)state;
    pid_t child = start_holder(false);
    pid_t pid = 0;
    enum pidfile_answer answer = PIDFILE_OK;
    assert_int_equal(pidfile_stop(path, SIGTERM, 5000, &pid, &answer), PIDFILE_STOPPED);
    assert_int_equal(pid, child);
    assert_int_equal(access(path, F_OK), -1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, WNOHANG), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void stop_says_when_the_holder_does_not_end(void **state) {
    (void)state;
    pid_t child = start_holder(true);
    pid_t pid = 0;
    enum pidfile_answer answer = PIDFILE_OK;
    assert_int_equal(pidfile_stop(path, SIGTERM, 50, &pid, &answer), PIDFILE_STILL_THERE);
    assert_int_equal(pid, child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_file_holds_the_pid_without_a_newline),
        TEST(a_second_holder_is_told_the_first_one),
        TEST(a_longer_stale_pid_is_overwritten),
        TEST(a_holder_that_has_not_written_its_pid_yet_has_none),
        TEST(a_link_is_not_followed),
        TEST(stop_never_signals_a_pid_whose_lock_is_free),
        TEST(stop_returns_when_the_holder_has_ended),
        TEST(stop_says_when_the_holder_does_not_end),
    };
    return cmocka_run_group_tests_name("pidfile", tests, NULL, NULL);
}
