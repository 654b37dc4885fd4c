#include "proc/scan.h"

#include <string.h>

enum { EXACT_DIGITS = 15 }; /* that a double holds exactly */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool scan_line(struct scan *s, struct scan *line) {
    const char *newline = s->at < s->end ? memchr(s->at, '\n', scan_left(s)) : NULL;
    if (!newline) {
        s->at = s->end;
        return false;
    }
    *line = (struct scan){s->at, newline};
    s->at = newline + 1;
    return true;
}

bool scan_word(struct scan *line, struct scan *word) {
    const char *from = line->at;
    while (from < line->end && is_blank(*from)) {
        from++;
    }
    const char *to = from;
    while (to < line->end && !is_blank(*to)) {
        to++;
    }
    *word = (struct scan){from, to};
    line->at = to;
    return to > from;
}

bool scan_u64(struct scan *line, uint64_t *value) {
    const char *at = line->at;
    while (at < line->end && is_blank(*at)) {
        at++;
    }
    const char *digits = at;
    uint64_t v = 0;
    for (; at < line->end && is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    if (at == digits || (at < line->end && !is_blank(*at))) {
        return false;
    }
    line->at = at;
    *value = v;
    return true;
}

bool scan_fraction(struct scan *line, double *value) {
    struct scan rest = *line;
    struct scan word;
    if (!scan_word(&rest, &word) || !is_digit(*word.at)) {
        return false;
    }
    double digits = 0;
    double scale = 0; /* 0 before the point */
    int count = 0;
    for (const char *at = word.at; at < word.end; at++) {
        if (*at == '.' && scale == 0) {
            scale = 1;
            continue;
        }
        if (!is_digit(*at) || ++count > EXACT_DIGITS) {
            return false;
        }
        digits = digits * 10 + (*at - '0');
        scale *= 10;
    }
    *value = scale > 1 ? digits / scale : digits;
    *line = rest;
    return true;
}

bool scan_text(struct scan *s, const char *text) {
    size_t n = strlen(text);
    if (scan_left(s) < n || memcmp(s->at, text, n) != 0) {
        return false;
    }
    s->at += n;
    return true;
}
