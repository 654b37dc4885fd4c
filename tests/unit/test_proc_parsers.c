#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proc/cpu.h"
#include "proc/disk.h"
#include "proc/kernel_files.h"
#include "proc/memory.h"
#include "proc/mounts.h"
#include "proc/network.h"
#include "proc/process.h"

static struct scan text(const char *s) {
    return scan_bytes(s, strlen(s));
}

static void numbers_are_whole_words_that_fit(void **state) {
    (void)state;
    uint64_t v = 7;
    struct scan s = text(" \t18446744073709551615 18446744073709551616");
    assert_true(scan_u64(&s, &v));
    assert_int_equal(v, UINT64_MAX);
    assert_false(scan_u64(&s, &v));
    const char *const none[] = {"",   " ",    "-1",  "+1",
                                "1x", "0x10", "1.5", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        s = text(none[i]);
        assert_false(scan_u64(&s, &v));
    }
    assert_int_equal(v, UINT64_MAX);
}

static void fractions_are_exact_or_refused(void **state) {
    (void)state;
    double v = 0;
    struct scan s = text("0.07 12.40 3 123456789012.345");
    assert_true(scan_fraction(&s, &v) && v == 0.07);
    assert_true(scan_fraction(&s, &v) && v == 12.40);
    assert_true(scan_fraction(&s, &v) && v == 3);
    assert_true(scan_fraction(&s, &v) && v == 123456789012.345);
    assert_false(scan_fraction(&s, &v));
    const char *const none[] = {".5", "1.2.3", "-1.0", "nan", "1e5", "12345678901234567"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        s = text(none[i]);
        assert_false(scan_fraction(&s, &v));
    }
    s = text("5.");
    assert_true(scan_fraction(&s, &v) && v == 5);
}

static void a_line_without_its_newline_is_none(void **state) {
    (void)state;
    struct scan s = text("one\n\ntwo");
    struct scan line;
    assert_true(scan_line(&s, &line) && scan_left(&line) == 3);
    assert_true(scan_line(&s, &line) && scan_left(&line) == 0);
    assert_false(scan_line(&s, &line));
    s = scan_bytes(NULL, 0);
    assert_false(scan_line(&s, &line));
}

static void cpu_counts_guests_once(void **state) {
    (void)state;
    struct scan s = text("cpu  1 2 4 8 16 32 64 128 256 512\n");
    struct proc_cpu cpu;
    assert_true(proc_cpu_next(&s, &cpu));
    assert_int_equal(cpu.id, PROC_CPU_ALL);
    assert_int_equal(cpu.total, 255);
    assert_int_equal(cpu.idle, 8);
    assert_false(proc_cpu_next(&s, &cpu));
}

static void cpu_numbers_have_holes_and_old_kernels_few_columns(void **state) {
    (void)state;
    struct scan s = text("cpu0 1 2 3 4\ncpu7 1 2 3 4 5 6 7\nintr 1 2 3\ncpu12 1 2 3\ncpu9 1 2 3 4 "
                         "x\ncpu8 5 5 5 5\n");
    struct proc_cpu cpu;
    assert_true(proc_cpu_next(&s, &cpu));
    assert_int_equal(cpu.id, 0);
    assert_int_equal(cpu.total, 10);
    assert_true(proc_cpu_next(&s, &cpu));
    assert_int_equal(cpu.id, 7);
    assert_int_equal(cpu.total, 28);
    assert_true(proc_cpu_next(&s, &cpu));
    assert_int_equal(cpu.id, 8);
    assert_false(proc_cpu_next(&s, &cpu));
}

static void cpu_sum_that_does_not_fit_is_refused(void **state) {
    (void)state;
    struct scan s = text("cpu  18446744073709551615 1 0 0\ncpu 0 0 0 18446744073709551615\n");
    struct proc_cpu cpu;
    assert_true(proc_cpu_next(&s, &cpu));
    assert_int_equal(cpu.idle, UINT64_MAX);
    assert_false(proc_cpu_next(&s, &cpu));
}

static void disk_reads_14_to_20_columns(void **state) {
    (void)state;
    struct scan s = text("   8  0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
                         " 259  0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
                         "   8  1 sda1 1 2 3 4\n");
    struct proc_disk disk;
    for (int i = 0; i < 2; i++) {
        assert_true(proc_disk_next(&s, &disk));
        assert_int_equal(disk.reads, 1);
        assert_int_equal(disk.read_ms, 4);
        assert_int_equal(disk.writes, 5);
        assert_int_equal(disk.write_ms, 8);
        assert_int_equal(disk.io_ms, 10);
    }
    assert_memory_equal(disk.name, "nvme0n1", 7);
    assert_int_equal(disk.name_len, 7);
    assert_false(proc_disk_next(&s, &disk));
}

static void disk_names_tell_disks_from_partitions(void **state) {
    (void)state;
    const char *const whole[] = {"sda",     "sdaa",      "sdzzz",   "hdc",       "vdb",   "xvda",
                                 "nvme0n1", "nvme12n34", "mmcblk0", "md0",       "md127", "dm-0",
                                 "nbd3",    "fioa",      "hiob",    "cciss/c0d1"};
    const char *const part[] = {"sda1",      "sdaa12", "vdb2",         "xvda1",     "nvme0n1p1",
                                "mmcblk0p2", "md0p1",  "cciss/c0d1p1", "nvme0c0n1", "sd",
                                "md",        "dm-",    "nvme0n",       "SDA",       "sda ",
                                "nbd0p1",    "",       "../sda"};
    const char *const ignored[] = {"loop0", "loop12", "ram3",         "zram0",
                                   "sr0",   "fd0",    "mmcblk0boot1", "mmcblk1rpmb"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        assert_true(proc_disk_whole_name(whole[i], strlen(whole[i])));
        assert_false(proc_disk_ignored(whole[i], strlen(whole[i])));
    }
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        assert_false(proc_disk_whole_name(part[i], strlen(part[i])));
    }
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        assert_true(proc_disk_ignored(ignored[i], strlen(ignored[i])));
    }
}

static bool is_whole(struct proc_disk_memory *memory, size_t position, const char *name) {
    struct proc_disk disk = {.name = name, .name_len = strlen(name)};
    return proc_disk_whole(memory, -1, position, &disk);
}

static void disk_memory_follows_lines_that_move(void **state) {
    (void)state;
    struct proc_disk_memory memory = {0};
    assert_true(is_whole(&memory, 0, "sda"));
    assert_false(is_whole(&memory, 1, "sda1"));
    assert_true(is_whole(&memory, 100, "sdb"));
    assert_false(is_whole(&memory, 0, "sda1"));
    assert_true(is_whole(&memory, 1, "sdb"));
    assert_true(is_whole(&memory, 1, "sdb"));
    proc_disk_forget(&memory);
    assert_false(is_whole(&memory, 0, "loop0"));
    proc_disk_forget(&memory);
}

static void memory_takes_the_first_of_each_and_needs_two(void **state) {
    (void)state;
    struct proc_memory m;
    const char *good =
        "MemTotal:  1000 kB\nMemFree: 10 kB\nSwapCached: 9 kB\nCached: 7 kB\nCached: 8 kB\n"
        "SwapTotal: x kB\nSwapFree: 5\n";
    assert_true(proc_memory(good, strlen(good), &m));
    assert_int_equal(m.total, 1000);
    assert_int_equal(m.cached, 7);
    assert_int_equal(m.swap_free, 0);
    assert_false(m.has_available);
    const char *bad = "MemTotal:  1000 kB\n";
    assert_false(proc_memory(bad, strlen(bad), &m));
    assert_false(proc_memory("", 0, &m));
}

static void interface_names_are_long_and_close_to_their_numbers(void **state) {
    (void)state;
    struct scan s = text("Inter-|   Receive |  Transmit\n face |bytes    packets\n"
                         "eth0:18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                         "enp59s0f0np0v12: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                         "eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                         "short: 1 2 3\n");
    struct proc_interface i;
    assert_true(proc_interface_next(&s, &i));
    assert_int_equal(i.name_len, 4);
    assert_int_equal(i.in_bytes, UINT64_MAX);
    assert_int_equal(i.in_dropped, 4);
    assert_int_equal(i.out_bytes, 9);
    assert_int_equal(i.out_dropped, 12);
    assert_true(proc_interface_next(&s, &i));
    assert_int_equal(i.name_len, 15);
    assert_true(proc_interface_next(&s, &i));
    assert_memory_equal(i.name, "eth0:1", 6);
    assert_int_equal(i.name_len, 6);
    assert_false(proc_interface_next(&s, &i));
}

static void sockets_are_found_by_name(void **state) {
    (void)state;
    struct proc_sockets sockets;
    const char *bytes = "sockets: used 152\nTCP: orphan 0 inuse 9 alloc 11 tw 3 mem 1\n";
    assert_true(proc_sockets(bytes, strlen(bytes), &sockets));
    assert_int_equal(sockets.used, 152);
    assert_true(sockets.has_tcp);
    assert_int_equal(sockets.tcp_inuse, 9);
    assert_int_equal(sockets.tcp_timewait, 3);
    bytes = "sockets: used 1\nTCP6: inuse 3\n";
    assert_true(proc_sockets(bytes, strlen(bytes), &sockets));
    assert_false(sockets.has_tcp);
    assert_false(proc_sockets("TCP:\n", 5, &sockets));
}

static void unknown_speeds_are_0(void **state) {
    (void)state;
    assert_int_equal(proc_link_speed("10000\n", 6), 10000);
    assert_int_equal(proc_link_speed("-1\n", 3), 0);
    assert_int_equal(proc_link_speed("65535\n", 6), 0);
    assert_int_equal(proc_link_speed("4294967295\n", 11), 0);
    assert_int_equal(proc_link_speed("", 0), 0);
}

static void kernel_files_are_three_numbers(void **state) {
    (void)state;
    struct proc_files files;
    const char *bytes = "1632\t0\t9223372036854775807\n";
    assert_true(proc_files(bytes, strlen(bytes), &files));
    assert_int_equal(files.allocated, 1632);
    assert_int_equal(files.max, INT64_MAX);
    assert_false(proc_files("1 2\n", 4, &files));
    assert_false(proc_files("1 2 3 4\n", 8, &files));
    uint64_t max = 0;
    assert_true(proc_number("65536\n", 6, &max) && max == 65536);
    assert_false(proc_number("1 2\n", 4, &max));
}

static void state_stands_behind_any_name(void **state) {
    (void)state;
    const char *const lines[] = {"1 (init) S 0 1\n", "2 (my (odd) R name) S 1\n",
                                 "3 () R () S 1\n",  "4 () S 1\n",
                                 "5 (a\nb) S 1\n",   "6 (Z) S"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(proc_state(lines[i], strlen(lines[i])), 'S');
    }
    const char *const none[] = {"",       "1",        "1 (",     "1 (x",    "1 (x)",
                                "1 (x) ", "1 (x) 5 ", "(x) S 1", "1 x S 1", "1 (x)S 1"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(proc_state(none[i], strlen(none[i])), 0);
    }
}

static void escapes_are_decoded_once(void **state) {
    (void)state;
    const char *in = "\\040a\\134040\\011\\012\\04\\999\\400\\000\\";
    char out[64] = {0};
    size_t n = proc_unescape(text(in), out);
    assert_string_equal(out, " a\\040\t\n\\04\\999\\400\\000\\");
    assert_int_equal(n, strlen(out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_words_that_fit),
        cmocka_unit_test(fractions_are_exact_or_refused),
        cmocka_unit_test(a_line_without_its_newline_is_none),
        cmocka_unit_test(cpu_counts_guests_once),
        cmocka_unit_test(cpu_numbers_have_holes_and_old_kernels_few_columns),
        cmocka_unit_test(cpu_sum_that_does_not_fit_is_refused),
        cmocka_unit_test(disk_reads_14_to_20_columns),
        cmocka_unit_test(disk_names_tell_disks_from_partitions),
        cmocka_unit_test(disk_memory_follows_lines_that_move),
        cmocka_unit_test(memory_takes_the_first_of_each_and_needs_two),
        cmocka_unit_test(interface_names_are_long_and_close_to_their_numbers),
        cmocka_unit_test(sockets_are_found_by_name),
        cmocka_unit_test(unknown_speeds_are_0),
        cmocka_unit_test(kernel_files_are_three_numbers),
        cmocka_unit_test(state_stands_behind_any_name),
        cmocka_unit_test(escapes_are_decoded_once),
    };
    return cmocka_run_group_tests_name("proc parsers", tests, NULL, NULL);
}
