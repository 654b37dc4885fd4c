#include <ctype.h>
#include <string.h>

#include "regex/parser.h"

enum { REPEATS = 500 };

/* x is tried first; a lazy repeat prefers to leave. */
static void aim(struct regex_instruction *split, int into, int out, bool lazy) {
    split->x = (int16_t)(lazy ? out : into);
    split->y = (int16_t)(lazy ? into : out);
}

static bool make_optional(struct regex_parser *p, unsigned at, bool lazy) {
    int length = (int)(p->to->length - at);
    struct regex_instruction *split = regex_insert(p, at, REGEX_SPLIT);
    return split && (aim(split, 1, length + 1, lazy), true);
}

static bool make_again(struct regex_parser *p, unsigned at, bool lazy) {
    int length = (int)(p->to->length - at);
    struct regex_instruction *split = regex_insert(p, p->to->length, REGEX_SPLIT);
    return split && (aim(split, -length, 1, lazy), true);
}

static bool copy_part(struct regex_parser *p, unsigned at, unsigned length) {
    struct regex_source *s = p->to;
    if (s->length + length > REGEX_INSTRUCTIONS) {
        return regex_fail(p, "it is too large: repeats ask for more than 2000 steps");
    }
    memmove(s->code + s->length, s->code + at, length * sizeof s->code[0]);
    s->length += length;
    return true;
}

/* most < 0: without end. x{2,4} is xx(x(x)?)?. */
static bool repeat(struct regex_parser *p, unsigned at, int least, int most, bool lazy) {
    unsigned length = p->to->length - at;
    if (most == 0) {
        p->to->length = at;
        return true;
    }
    for (int i = 1; i < least; i++) {
        if (!copy_part(p, at, length)) {
            return false;
        }
    }
    unsigned last = p->to->length - length;
    if (most < 0) {
        return make_again(p, last, lazy) && (least > 0 || make_optional(p, last, lazy));
    }
    unsigned begin = least > 0 ? p->to->length : at;
    int optional = most - least, copies = least > 0 ? optional : optional - 1;
    for (int i = 0; i < copies; i++) {
        if (!copy_part(p, at, length)) {
            return false;
        }
    }
    for (int i = optional - 1; i >= 0; i--) {
        if (!make_optional(p, begin + (unsigned)i * length, lazy)) {
            return false;
        }
    }
    return true;
}

static int read_count(struct regex_parser *p) {
    int n = -1;
    for (; p->at < p->end && isdigit((unsigned char)*p->at); p->at++) {
        n = (n < 0 ? 0 : n) * 10 + (*p->at - '0');
        n = n > REPEATS ? REPEATS + 1 : n;
    }
    return n;
}

/* 1: there is one; 0: none, as in "{x"; -1: failed. */
static int read_counts(struct regex_parser *p, int *least, int *most) {
    const char *open = p->at++;
    *least = *most = read_count(p);
    if (*least >= 0 && p->at < p->end && *p->at == ',') {
        p->at++;
        *most = read_count(p);
    }
    if (*least < 0 || p->at == p->end || *p->at != '}') {
        p->at = open;
        return 0;
    }
    p->at++;
    if (*least > REPEATS || *most > REPEATS) {
        return regex_fail(p, "more than 500 repeats"), -1;
    }
    if (*most >= 0 && *most < *least) {
        return regex_fail(p, "a repeat whose most is less than its least"), -1;
    }
    return 1;
}

/* 1: there is one. */
static int read_quantifier(struct regex_parser *p, int *least, int *most) {
    char c = p->at < p->end ? *p->at : 0;
    if (c == '{') {
        return read_counts(p, least, most);
    }
    if (c != '*' && c != '+' && c != '?') {
        return 0;
    }
    *least = c == '+';
    *most = c == '?' ? 1 : -1;
    p->at++;
    return 1;
}

bool regex_read_repeats(struct regex_parser *p, unsigned at) {
    int least, most;
    int quantified = read_quantifier(p, &least, &most);
    if (quantified <= 0) {
        return quantified == 0;
    }
    bool lazy = p->at < p->end && *p->at == '?';
    p->at += lazy;
    if (p->at < p->end && (*p->at == '*' || *p->at == '+')) {
        return regex_fail(p, "a repeat of a repeat");
    }
    return repeat(p, at, least, most, lazy);
}
