#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/cgroup.h"
#include "exec/family.h"

static void finds_our_cgroup_in_all_common_layouts(void **state) {
    (void)state;
    static const struct {
        const char *self, *mountinfo, *dir;
    } cases[] = {
        {"0::/\n", "30 1 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
        {"0::/system.slice/agent.service\n",
         "25 1 0:5 / /proc rw - proc proc rw\n"
         "30 1 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
         "/sys/fs/cgroup/system.slice/agent.service"},
        {"4:memory:/x\n0::/a\n",
         "30 1 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
         "31 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
         "32 1 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
         "/sys/fs/cgroup/unified/a"},
        {"0::/docker/abc/inner\n", "30 1 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
         "/sys/fs/cgroup/inner"},
        {"0::/docker/abc\n", "30 1 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
         "/sys/fs/cgroup"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[CGROUP_PATH];
        assert_null(cgroup_locate(cases[i].self, cases[i].mountinfo, dir));
        assert_string_equal(dir, cases[i].dir);
    }
}

static void says_why_there_is_none(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"4:memory:/x\n", "30 1 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
        {"0::/a\n", "31 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
        {"0::/../a\n", "30 1 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
        {"0::/docker/abcd\n", "30 1 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n"},
        {"0::/a\n", "30 1 0:27 / /sys/fs/with\\040blank rw - cgroup2 cgroup2 rw\n"},
        {"0::/a\n", "broken - cgroup2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[CGROUP_PATH];
        assert_non_null(cgroup_locate(cases[i][0], cases[i][1], dir));
    }
    char *longest = malloc(4000);
    memset(longest, 'x', 4000);
    memcpy(longest, "0::/", 4);
    longest[3999] = 0;
    char dir[CGROUP_PATH];
    assert_non_null(
        cgroup_locate(longest, "30 1 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", dir));
    free(longest);
}

/* A directory with the files that the kernel would make. */
struct fake {
    char ours[64];
    char dir[160]; /* OURS/agent/PID.START */
    char run[200];
};

static void put(const char *dir, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *get(const char *dir, const char *name) {
    static char text[100]; /* one test at a time */
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static int make_fake(void **state) {
    static struct fake f;
    struct family_stat st;
    char agent[80];
    snprintf(f.ours, sizeof f.ours, "/tmp/agent-cgroup-XXXXXX");
    if (!mkdtemp(f.ours) || !family_read_stat(getpid(), &st)) {
        return -1;
    }
    snprintf(agent, sizeof agent, "%s/agent", f.ours);
    snprintf(f.dir, sizeof f.dir, "%s/%d.%" PRIu64, agent, (int)getpid(), st.start);
    snprintf(f.run, sizeof f.run, "%s/plugin~1", f.dir);
    mkdir(agent, 0755);
    mkdir(f.dir, 0755);
    mkdir(f.run, 0755);
    put(f.ours, "cgroup.controllers", "cpu io memory pids\n");
    put(f.ours, "cgroup.subtree_control", "cpu memory pids\n");
    put(agent, "cgroup.subtree_control", "");
    put(f.dir, "cgroup.subtree_control", "cpu memory pids\n");
    put(f.run, "cgroup.events", "populated 0\nfrozen 0\n");
    static const char *const files[] = {"memory.max", "memory.swap.max", "memory.oom.group",
                                        "cpu.max",    "pids.max",        "cgroup.kill"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        put(f.run, files[i], "");
    }
    *state = &f;
    return 0;
}

static int remove_fake(void **state) {
    struct fake *f = *state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", f->ours);
    return system(command);
}

static void writes_each_limit_once(void **state) {
    struct fake *f = *state;
    struct cgroup_tree t;
    struct cgroup_limits limits = {.memory = 67108864, .cpu = 1500, .pids = 32}, wrote = {0};
    cgroup_tree_init(&t);
    assert_true(cgroup_tree_open_at(&t, f->ours));
    assert_string_equal(t.dir, f->dir);
    assert_true(t.memory && t.cpu && t.pids);
    int fd = cgroup_prepare(&t, "plugin~1", &limits, &wrote);
    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(get(f->run, "memory.max"), "67108864");
    assert_string_equal(get(f->run, "memory.swap.max"), "0");
    assert_string_equal(get(f->run, "memory.oom.group"), "1");
    assert_string_equal(get(f->run, "cpu.max"), "150000 100000");
    assert_string_equal(get(f->run, "pids.max"), "32");
    assert_memory_equal(&wrote, &limits, sizeof limits);
    put(f->run, "pids.max", "kept");
    close(cgroup_prepare(&t, "plugin~1", &limits, &wrote));
    assert_string_equal(get(f->run, "pids.max"), "kept");
    put(f->run, "memory.max", "");
    limits.memory = 0;
    close(cgroup_prepare(&t, "plugin~1", &limits, &wrote));
    assert_string_equal(get(f->run, "memory.max"), "max");
}

static void reads_what_the_kernel_tells(void **state) {
    struct fake *f = *state;
    struct cgroup_tree t;
    cgroup_tree_init(&t);
    assert_true(cgroup_tree_open_at(&t, f->ours));
    assert_false(cgroup_populated(&t, "plugin~1"));
    put(f->run, "cgroup.events", "populated 1\nfrozen 0\n");
    assert_true(cgroup_populated(&t, "plugin~1"));
    assert_int_equal(cgroup_memory_peak(&t, "plugin~1"), 0);
    put(f->run, "memory.peak", "8388608\n");
    assert_int_equal(cgroup_memory_peak(&t, "plugin~1"), 8388608);
    assert_false(cgroup_populated(&t, "nothing~1"));
    cgroup_kill(&t, "plugin~1");
    assert_string_equal(get(f->run, "cgroup.kill"), "1");
}

static void removes_what_a_dead_agent_left_and_nothing_else(void **state) {
    struct fake *f = *state;
    struct cgroup_tree t;
    struct family_stat parent;
    char path[300], living[300], other[300];
    assert_true(family_read_stat(getppid(), &parent));
    snprintf(path, sizeof path, "%s/agent/%d.1", f->ours, (int)getpid()); /* a number used again */
    snprintf(living, sizeof living, "%s/agent/%d.%" PRIu64, f->ours, (int)getppid(), parent.start);
    snprintf(other, sizeof other, "%s/agent/other", f->ours);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mkdir(living, 0755), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    cgroup_tree_init(&t);
    assert_true(cgroup_tree_open_at(&t, f->ours));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(living, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(access(f->dir, F_OK), 0);
}

static void does_without_where_it_may_not(void **state) {
    (void)state;
    struct cgroup_tree t;
    struct cgroup_limits limits = {0}, wrote = {0};
    cgroup_tree_init(&t);
    assert_false(cgroup_tree_open_at(&t, "/proc"));
    assert_string_equal(t.dir, "");
    assert_true(strlen(t.why) > 0);
    assert_int_equal(cgroup_prepare(&t, "plugin~1", &limits, &wrote), -1);
    cgroup_remove(&t, "plugin~1");
    cgroup_tree_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_our_cgroup_in_all_common_layouts),
        cmocka_unit_test(says_why_there_is_none),
        cmocka_unit_test_setup_teardown(writes_each_limit_once, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(reads_what_the_kernel_tells, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(removes_what_a_dead_agent_left_and_nothing_else, make_fake,
                                        remove_fake),
        cmocka_unit_test(does_without_where_it_may_not),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
