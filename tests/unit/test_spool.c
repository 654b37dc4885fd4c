#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/segment.h"
#include "spool/store.h"

static char directory[64];
static struct store store;

static int make_store(void **state) {
    (void)state;
    strcpy(directory, "/tmp/agent-spool-XXXXXX");
    assert_non_null(mkdtemp(directory));
    char path[128];
    snprintf(path, sizeof path, "%s/state/spool", directory);
    assert_true(store_init(&store, path));
    pid_t holder;
    assert_int_equal(store_open(&store, &holder), 0);
    return 0;
}

static int remove_store(void **state) {
    (void)state;
    store_free(&store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static void add(struct buffer *b, const char *topic, const char *head, const char *body) {
    struct segment_record r = {{topic, strlen(topic)}, {head, strlen(head)}, {body, strlen(body)}};
    assert_true(segment_add(b, &r));
}

static struct buffer records(const char *body) {
    struct buffer b;
    buffer_init(&b, SEGMENT_MAX);
    add(&b, "topic", "head", body);
    return b;
}

static int commit(const char *name, uint64_t offset, const char *body) {
    struct buffer b = records(body);
    int why = store_commit(&store, name, offset, &b);
    buffer_free(&b);
    return why;
}

static void file_path(char path[256], const char *part, const char *name) {
    snprintf(path, 256, "%s/%s/%s", store.path, part, name);
}

static void write_file(const char *part, const char *name, const void *bytes, size_t len) {
    char path[256];
    file_path(path, part, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static bool exists(const char *part, const char *name) {
    char path[256];
    struct stat st;
    file_path(path, part, name);
    return lstat(path, &st) == 0;
}

static const char *const first = "000000000001-1700000000.spool";

static void what_is_written_is_read(void **state) {
    (void)state;
    assert_int_equal(commit(first, 0, "one"), 0);
    uint64_t end = SEGMENT_HEAD + 8 + 4 + 5 + 4 + 3;
    assert_int_equal(commit(first, end, "two"), 0);
    assert_false(exists("tmp", first));
    struct buffer b;
    assert_int_equal(store_read(&store, first, &b), 0);
    size_t at = SEGMENT_HEAD;
    struct segment_record r;
    assert_int_equal(segment_next(b.data, b.len, &at, &r), SEGMENT_RECORD);
    assert_memory_equal(r.topic.bytes, "topic", r.topic.len);
    assert_memory_equal(r.head.bytes, "head", r.head.len);
    assert_int_equal(r.body.len, 3);
    assert_memory_equal(r.body.bytes, "one", 3);
    assert_int_equal(segment_next(b.data, b.len, &at, &r), SEGMENT_RECORD);
    assert_memory_equal(r.body.bytes, "two", 3);
    assert_int_equal(segment_next(b.data, b.len, &at, &r), SEGMENT_END);
    buffer_free(&b);
}

static void nothing_is_appended_where_the_file_does_not_end(void **state) {
    (void)state;
    assert_int_equal(commit(first, 0, "one"), 0);
    assert_int_equal(commit(first, 17, "two"), ESTALE);
    assert_int_equal(commit("000000000002-1700000000.spool", 40, "two"), ESTALE);
    char path[256];
    file_path(path, "new", first);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(commit(first, 40, "two"), ELOOP);
}

static void every_cut_and_every_changed_byte_is_seen(void **state) {
    (void)state;
    struct buffer b = records("some body");
    segment_seal(b.data, b.len);
    char file[128];
    segment_head(file);
    memcpy(file + SEGMENT_HEAD, b.data, b.len);
    size_t len = SEGMENT_HEAD + b.len;
    struct segment_record r;
    for (size_t cut = SEGMENT_HEAD + 1; cut < len; cut++) {
        size_t at = SEGMENT_HEAD;
        assert_int_equal(segment_next(file, cut, &at, &r), SEGMENT_TORN);
    }
    for (size_t i = 0; i < len; i++) {
        file[i] = (char)(file[i] ^ 4);
        size_t at = SEGMENT_HEAD;
        assert_true(i < SEGMENT_HEAD ? segment_check(file, len) != SEGMENT_OURS
                                     : segment_next(file, len, &at, &r) == SEGMENT_TORN);
        file[i] = (char)(file[i] ^ 4);
    }
    assert_int_equal(segment_check(file, len), SEGMENT_OURS);
    char zeros[64] = {0};
    size_t at = 0;
    assert_int_equal(segment_next(zeros, sizeof zeros, &at, &r), SEGMENT_TORN);
    buffer_free(&b);
}

static void foreign_files_and_other_versions_are_told_apart(void **state) {
    (void)state;
    struct buffer b;
    write_file("new", first, "hello, I am something else", 26);
    assert_int_equal(store_read(&store, first, &b), EBADMSG);
    write_file("new", first, "", 0);
    assert_int_equal(store_read(&store, first, &b), EBADMSG);
    /* The head of version 2 with its right checksum, which only a later agent would write. */
    static const unsigned char later[] = {'a',  'g',  's',  'p',  'o',  'o',  'l',  0,
                                          0x02, 0x00, 0x00, 0x00, 0x6c, 0x10, 0x53, 0xbf};
    write_file("new", first, later, sizeof later);
    assert_int_equal(store_read(&store, first, &b), EPROTO);
    char path[256];
    file_path(path, "new", first);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(store_read(&store, first, &b), EBADMSG); /* and does not hang */
}

static void what_is_no_file_of_ours_is_put_away(void **state) {
    (void)state;
    struct store_listing l;
    assert_int_equal(commit("000000000010-1700000000.spool", 0, "ten"), 0);
    assert_int_equal(commit("000000000009-1700000009.spool", 0, "nine"), 0);
    write_file("new", "README", "x", 1);
    write_file("new", "00000000001-1700000000.spool", "x", 1);
    char path[256];
    file_path(path, "new", "000000000011-1700000000.spool");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(store_list(&store, false, &l), 0);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.put_away, 0);
    store_listing_free(&l);
    assert_int_equal(store_list(&store, true, &l), 0);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.files[0].number, 9);
    assert_int_equal(l.files[0].created, 1700000009);
    assert_int_equal(l.files[1].number, 10);
    assert_int_equal(l.put_away, 3);
    assert_int_equal(l.bad, 3);
    assert_true(exists("bad", "README"));
    store_listing_free(&l);
}

static void a_vanished_directory_is_made_again(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s/state'", directory);
    assert_int_equal(system(command), 0);
    assert_int_equal(commit(first, 0, "one"), 0);
    assert_true(exists("new", first));
    assert_true(exists(".", "lock"));
}

static void two_agents_are_kept_apart(void **state) {
    (void)state;
    struct store other;
    pid_t holder = 0;
    assert_true(store_init(&other, store.path));
    assert_int_equal(store_open(&other, &holder), EBUSY);
    assert_int_equal(holder, getpid());
    store_close(&store);
    assert_int_equal(store_open(&other, &holder), 0);
    store_free(&other);
}

static void what_an_unfinished_write_left_is_removed(void **state) {
    (void)state;
    write_file("tmp", first, "half", 4);
    pid_t holder;
    assert_int_equal(store_open(&store, &holder), 0);
    assert_false(exists("tmp", first));
}

static void names_are_read_back_only_as_they_are_written(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "x",
                                        "1-1.spool",
                                        "000000000001-1700000000.spoo",
                                        "000000000001-1700000000.spool ",
                                        "000000000001-1700000000.spool.spool",
                                        "-00000000001-1700000000.spool",
                                        "000000000001--700000000.spool",
                                        "0000000000010-1700000000.spool",
                                        "000000000001-1700000000",
                                        "1000000000000-1700000000.spool",
                                        "000000000001-1000000000000.spool"};
    uint64_t number;
    int64_t created;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(store_parse_name(wrong[i], &number, &created));
    }
    assert_true(store_parse_name(first, &number, &created));
    assert_int_equal(number, 1);
    assert_int_equal(created, 1700000000);
}

static void too_large_a_message_is_refused(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, SEGMENT_MAX);
    char *body = calloc(1, SEGMENT_PAYLOAD_MAX);
    struct segment_record r = {{"t", 1}, {"h", 1}, {body, SEGMENT_PAYLOAD_MAX - 6}};
    assert_true(segment_add(&b, &r));
    r.body.len++;
    assert_false(segment_add(&b, &r));
    assert_int_equal(b.len, 8 + SEGMENT_PAYLOAD_MAX);
    buffer_free(&b);
    free(body);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_store, remove_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(nothing_is_appended_where_the_file_does_not_end),
        TEST(every_cut_and_every_changed_byte_is_seen),
        TEST(foreign_files_and_other_versions_are_told_apart),
        TEST(what_is_no_file_of_ours_is_put_away),
        TEST(a_vanished_directory_is_made_again),
        TEST(two_agents_are_kept_apart),
        TEST(what_an_unfinished_write_left_is_removed),
        TEST(names_are_read_back_only_as_they_are_written),
        TEST(too_large_a_message_is_refused),
    };
    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
