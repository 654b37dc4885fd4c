#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <regex.h>

#include "regex/regex.h"

static struct regex_source source;

static struct regex *made(const char *pattern) {
    if (!regex_compile(&source, pattern, strlen(pattern))) {
        fail_msg("%s: %s", pattern, source.why);
    }
    return regex_pack(&source, malloc(regex_size(&source)));
}

/* The groups, joined by '|'; "-": no match, "!": too much work. */
static const char *matched(const char *pattern, const char *text, char to[256]) {
    struct regex *r = made(pattern);
    struct regex_span spans[REGEX_GROUPS];
    int found = regex_match(r, text, strlen(text), spans);
    assert_int_equal(found, regex_match(r, text, strlen(text), NULL));
    snprintf(to, 256, "%s", found < 0 ? "!" : "-");
    size_t n = 0;
    for (unsigned i = 0; found > 0 && i < regex_groups(r); i++) {
        n +=
            (size_t)snprintf(to + n, 256 - n, "%s%.*s", i ? "|" : "", spans[i].end - spans[i].begin,
                             spans[i].begin < 0 ? "" : text + spans[i].begin);
    }
    free(r);
    return to;
}

static void the_leftmost_and_most_preferred_match_is_found(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"a+b", "xaaab", "aaab"},
        {"(a|ab)(c|bcd)(d*)", "abcd", "abcd|a|bcd|"},
        {"^(\\d+)-(\\d+)$", "12-34", "12-34|12|34"},
        {"(?i)ERR[O]R", "an error", "error"},
        {"(?i:AB)c", "abC abc", "abc"},
        {"x{2,3}", "axxxx", "xxx"},
        {"x{2,3}?", "axxxx", "xx"},
        {"x{2,}", "axxxx", "xxxx"},
        {"(?:ab){2}", "ababab", "abab"},
        {"(?:ab){0}c", "abc", "c"},
        {"a{,3}b{", "a{,3}b{", "a{,3}b{"},
        {"(a*)*b", "aaac", "-"},
        {"[[:digit:]]+[^a-c\\d]?", "a12x", "12x"},
        {"[]a]+[-x]", "]a-", "]a-"},
        {"\\bfoo\\b", "afoo foo.", "foo"},
        {"o\\B.", "foo ox", "oo"},
        {"HTTP/1\\.[01]\" (?P<code>\\d{3}) ", "GET / HTTP/1.1\" 404 5", "HTTP/1.1\" 404 |404"},
        {"a|b|(c)d", "xcd", "cd|c"},
        {"^a|b", "xb", "b"},
        {"\xc3\xa9+$", "\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9"},
        {".*foo.*bar", "a foo b bar c", "a foo b bar"},
        {".*?foo", "a foo foo", "a foo"},
        {"(?m)^b$", "a\nb\nc", "b"},
        {"a.c", "a\nc", "-"},
        {"(?s)a.c", "a\nc", "a\nc"},
        {"(?s:a.)(?-s).", "a\n\n", "-"},
        {"\\Aab\\z", "ab", "ab"},
        {"\\x41\\t\\.", "A\t.", "A\t."},
        {"", "abc", ""},
        {"(|a)+", "aa", "|"},
        {"()*x", "x", "x|"},
        {"(a+|b+)*c", "ababc", "ababc|b"},
        {"(foo|bar|baz)qux", "xbazqux", "bazqux|baz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char to[256];
        if (strcmp(matched(cases[i][0], cases[i][1], to), cases[i][2]) != 0) {
            fail_msg("%s in %s: %s", cases[i][0], cases[i][1], to);
        }
    }
}

static void what_is_no_expression_is_refused_with_place_and_reason(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a**", "at byte 3: a repeat of a repeat"},
        {"*a", "at byte 1: nothing to repeat"},
        {"^*", "nothing to repeat"},
        {"a(b", "at byte 2: ( without )"},
        {"a)", "at byte 2: ) without ("},
        {"[a", "at byte 1: [ without ]"},
        {"[z-a]", "at byte 5: a range"},
        {"[[:nope:]]", "at byte 2: there is no such class"},
        {"[\xc3\xa9]", "only ASCII"},
        {"(a)\\1", "back reference"},
        {"(?=a)", "linear time"},
        {"(?<=a)b", "linear time"},
        {"(?P<>a)", "a group's name"},
        {"\\q", "an unknown escape"},
        {"\\", "an unknown escape"},
        {"\\x4", "an unknown escape"},
        {"a{501}", "more than 500"},
        {"a{3,2}", "less than"},
        {"((a{100}){100}){100}", "too large"},
        {"(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)", "more than 9 groups"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(regex_compile(&source, cases[i][0], strlen(cases[i][0])));
        if (!strstr(source.why, cases[i][1])) {
            fail_msg("%s: %s", cases[i][0], source.why);
        }
    }
    char deep[301];
    for (int i = 0; i < 100; i++) {
        snprintf(deep + 3 * (size_t)i, 4, "(?:");
    }
    assert_false(regex_compile(&source, deep, strlen(deep)));
    assert_non_null(strstr(source.why, "nested deeper"));
}

/* These take a matcher that goes back for ever. */
static void no_expression_takes_more_than_its_share(void **state) {
    (void)state;
    static const char *const cases[] = {"(x+x+)+y", "(x*)*y", "(?:x|x)*y", "(.*)*y",
                                        "^(([a-z])+.)+[A-Z]$"};
    enum { LENGTH = 100000 };
    char *text = malloc(LENGTH);
    memset(text, 'x', LENGTH);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct regex *r = made(cases[i]);
        struct regex_span spans[REGEX_GROUPS];
        assert_int_equal(regex_match(r, text, LENGTH, spans), 0);
        free(r);
    }
    struct regex *r = made("(?:[xy]{0,240}){4}[z]");
    assert_int_equal(regex_match(r, text, LENGTH, NULL), -1);
    free(r);
    free(text);
}

static unsigned random_number(unsigned *seed, unsigned below) {
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 16) % below;
}

static void random_expression(unsigned *seed, char *to, int depth) {
    static const char *const atoms[] = {"a", "b", "[ab]", ".", "ab", "c"};
    static const char *const repeats[] = {"", "", "*", "+", "?", "{1,2}", "{2}"};
    size_t n = 0;
    to[0] = 0;
    for (unsigned pieces = 1 + random_number(seed, 3); pieces > 0; pieces--) {
        char inner[512];
        if (depth > 0 && random_number(seed, 3) == 0) {
            char left[160], right[160];
            random_expression(seed, left, depth - 1);
            random_expression(seed, right, depth - 1);
            snprintf(inner, sizeof inner, random_number(seed, 2) ? "(%s|%s)" : "(%s%s)", left,
                     right);
        } else {
            snprintf(inner, sizeof inner, "%s", atoms[random_number(seed, 6)]);
        }
        const char *repeat =
            inner[1] && inner[0] != '(' && inner[0] != '[' ? "" : repeats[random_number(seed, 7)];
        if (n + strlen(inner) + strlen(repeat) < 150) {
            n += (size_t)sprintf(to + n, "%s%s", inner, repeat);
        }
    }
}

static void libc_finds_a_match_at_the_same_places(void **state) {
    (void)state;
    unsigned seed = 1, compared = 0;
    for (int round = 0; round < 4000; round++) {
        char pattern[200];
        random_expression(&seed, pattern, 2);
        regex_t posix;
        assert_int_equal(regcomp(&posix, pattern, REG_EXTENDED), 0);
        if (!regex_compile(&source, pattern, strlen(pattern))) {
            regfree(&posix); /* more than 9 groups */
            continue;
        }
        struct regex *r = regex_pack(&source, malloc(regex_size(&source)));
        for (int i = 0; i < 8; i++) {
            char text[16] = "";
            unsigned n = random_number(&seed, 12);
            for (unsigned k = 0; k < n; k++) {
                text[k] = "abcd"[random_number(&seed, 4)];
            }
            regmatch_t theirs;
            struct regex_span ours[REGEX_GROUPS];
            int found = regexec(&posix, text, 1, &theirs, 0) == 0;
            if (regex_match(r, text, n, ours) != found ||
                (found && ours[0].begin != theirs.rm_so)) {
                fail_msg("%s in %s: libc %d at %d", pattern, text, found,
                         found ? theirs.rm_so : -1);
            }
            assert_int_equal(regex_match(r, text, n, NULL), found);
            compared++;
        }
        free(r);
        regfree(&posix);
    }
    assert_true(compared > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leftmost_and_most_preferred_match_is_found),
        cmocka_unit_test(what_is_no_expression_is_refused_with_place_and_reason),
        cmocka_unit_test(no_expression_takes_more_than_its_share),
        cmocka_unit_test(libc_finds_a_match_at_the_same_places),
    };
    return cmocka_run_group_tests_name("regex", tests, NULL, NULL);
}
