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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/file.h"
#include "proc/process.h"

enum { CHILDREN = 20 };

static size_t open_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void start_children(pid_t *children) {
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            pause();
            _exit(0);
        }
    }
}

static void end_children(const pid_t *children) {
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

static int kept_for(const struct proc_walk *walk, pid_t pid) {
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->kept[walk->turn][i].pid == pid) {
            return walk->kept[walk->turn][i].fd;
        }
    }
    return -1;
}

static void walk_keeps_one_descriptor_for_each_living_process(void **state) {
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_walk walk = {.keep = proc_is_procfs(proc)};
    struct proc_counts counts;
    pid_t children[CHILDREN];
    size_t before = open_descriptors();
    assert_true(walk.keep);
    start_children(children);
    assert_int_equal(proc_count(&walk, proc, &counts), 0);
    assert_true(counts.total >= CHILDREN + 1);
    assert_true(kept_for(&walk, children[0]) >= 0);
    assert_int_equal(open_descriptors(), before + walk.count);

    int own = kept_for(&walk, getpid());
    assert_true(own >= 0);
    fcntl(own, F_SETFD, 0); /* a mark: opened anew it would have FD_CLOEXEC again */
    end_children(children);
    assert_int_equal(proc_count(&walk, proc, &counts), 0);
    assert_int_equal(kept_for(&walk, children[0]), -1);
    assert_int_equal(open_descriptors(), before + walk.count);
    assert_int_equal(kept_for(&walk, getpid()), own);
    assert_int_equal(fcntl(own, F_GETFD), 0);

    proc_walk_close(&walk);
    assert_int_equal(open_descriptors(), before);
    close(proc);
}

static void walk_keeps_nothing_where_asked_not_to(void **state) {
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_walk walk = {0};
    struct proc_counts counts;
    size_t before = open_descriptors();
    assert_int_equal(proc_count(&walk, proc, &counts), 0);
    assert_true(counts.total >= 1 && counts.running >= 1);
    assert_int_equal(open_descriptors(), before);
    close(proc);
}

static void failed_walk_says_why_and_closes_all(void **state) {
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int no_directory = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct proc_walk walk = {.keep = true};
    struct proc_counts counts;
    size_t before = open_descriptors();
    assert_int_equal(proc_count(&walk, proc, &counts), 0);
    assert_int_equal(proc_count(&walk, no_directory, &counts), -ENOTDIR);
    assert_int_equal(open_descriptors(), before);
    close(no_directory);
    close(proc);
}

static size_t count_lines_with(const char *bytes, size_t n, const char *what) {
    size_t found = 0;
    for (const char *at = bytes; (at = memmem(at, n - (size_t)(at - bytes), what, strlen(what)));) {
        found++;
        at++;
    }
    return found;
}

/* smaps is far longer than a page, so the kernel gives it in many short reads. */
static void file_of_many_short_reads_is_read_to_its_end(void **state) {
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_file smaps = {"self/smaps", false, -1};
    struct proc_file maps = {"self/maps", false, -1};
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    assert_int_equal(proc_file_read(&smaps, proc, &bytes),
                     0); /* so that the next needs no memory */
    assert_true(smaps.fd >= 0);
    assert_int_equal(proc_file_read(&smaps, proc, &bytes), 0);
    size_t areas = count_lines_with(bytes.data, bytes.len, "\nVmFlags:");
    assert_true(bytes.len > 8192);
    assert_int_equal(proc_file_read(&maps, proc, &bytes), 0);
    assert_int_equal(count_lines_with(bytes.data, bytes.len, "\n"), areas);
    proc_file_close(&smaps);
    proc_file_close(&maps);
    buffer_free(&bytes);
    close(proc);
}

static void descriptor_that_went_bad_is_opened_anew(void **state) {
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_file loadavg = {"loadavg", true, -1};
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    assert_int_equal(proc_file_read(&loadavg, proc, &bytes), 0);
    close(loadavg.fd);
    loadavg.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* EISDIR */
    assert_int_equal(proc_file_read(&loadavg, proc, &bytes), 0);
    assert_true(bytes.len > 0);
    close(loadavg.fd);
    loadavg.fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* empty */
    assert_int_equal(proc_file_read(&loadavg, proc, &bytes), 0);
    assert_true(bytes.len > 0);
    proc_file_close(&loadavg);
    buffer_free(&bytes);
    close(proc);
}

static void odd_things_in_the_place_of_a_file_do_not_block(void **state) {
    (void)state;
    char folder[] = "/tmp/agent-proc-XXXXXX";
    assert_non_null(mkdtemp(folder));
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkfifoat(root, "stat", 0600), 0);
    assert_int_equal(mkdirat(root, "loadavg", 0700), 0);
    struct proc_file fifo = {"stat", true, -1};
    struct proc_file directory = {"loadavg", true, -1};
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    assert_int_equal(proc_file_read(&fifo, root, &bytes), -ESPIPE);
    assert_int_equal(proc_file_read(&directory, root, &bytes), -EISDIR);
    assert_int_equal(fifo.fd, -1);
    assert_int_equal(directory.fd, -1);
    unlinkat(root, "stat", 0);
    unlinkat(root, "loadavg", AT_REMOVEDIR);
    close(root);
    rmdir(folder);
    buffer_free(&bytes);
}

static void file_at_the_cap_is_refused_or_read_whole(void **state) {
    (void)state;
    char folder[] = "/tmp/agent-proc-XXXXXX";
    assert_non_null(mkdtemp(folder));
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct proc_file file = {"stat", true, -1};
    for (size_t size = 19999; size <= 20001; size++) {
        int fd = openat(root, "stat", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        close(fd);
        struct buffer bytes;
        buffer_init(&bytes, 20000);
        int rc = proc_file_read(&file, root, &bytes);
        assert_int_equal(rc, size < 20000 ? 0 : -EFBIG);
        assert_true(rc != 0 || bytes.len == size);
        buffer_free(&bytes);
    }
    unlinkat(root, "stat", 0);
    close(root);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_keeps_one_descriptor_for_each_living_process),
        cmocka_unit_test(walk_keeps_nothing_where_asked_not_to),
        cmocka_unit_test(failed_walk_says_why_and_closes_all),
        cmocka_unit_test(file_of_many_short_reads_is_read_to_its_end),
        cmocka_unit_test(descriptor_that_went_bad_is_opened_anew),
        cmocka_unit_test(odd_things_in_the_place_of_a_file_do_not_block),
        cmocka_unit_test(file_at_the_cap_is_refused_or_read_whole),
    };
    return cmocka_run_group_tests_name("proc files", tests, NULL, NULL);
}
