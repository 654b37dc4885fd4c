#include <ctype.h>
#include <string.h>

#include "regex/parser.h"

static void put_range(struct regex_class *c, unsigned from, unsigned to) {
    for (unsigned b = from; b <= to; b++) {
        regex_put(c, (unsigned char)b);
    }
}

static void invert(struct regex_class *c) {
    for (int i = 0; i < 8; i++) {
        c->bits[i] = ~c->bits[i];
    }
}

static void merge(struct regex_class *c, const struct regex_class *more) {
    for (int i = 0; i < 8; i++) {
        c->bits[i] |= more->bits[i];
    }
}

void regex_fold(struct regex_class *c) {
    for (unsigned b = 'a'; b <= 'z'; b++) {
        unsigned upper = b - 'a' + 'A';
        if (regex_has(c, (unsigned char)b) || regex_has(c, (unsigned char)upper)) {
            regex_put(c, (unsigned char)b);
            regex_put(c, (unsigned char)upper);
        }
    }
}

static bool put_letter_class(struct regex_class *c, char letter) {
    switch (tolower((unsigned char)letter)) {
    case 'd':
        put_range(c, '0', '9');
        break;
    case 'w':
        put_range(c, '0', '9');
        put_range(c, 'A', 'Z');
        put_range(c, 'a', 'z');
        regex_put(c, '_');
        break;
    case 's':
        put_range(c, '\t', '\r');
        regex_put(c, ' ');
        break;
    default:
        return false;
    }
    return true;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int read_hex(struct regex_parser *p, unsigned char *byte) {
    if (p->end - p->at < 3) {
        return -1;
    }
    int high = hex_digit(p->at[1]), low = hex_digit(p->at[2]);
    if (high < 0 || low < 0) {
        return -1;
    }
    *byte = (unsigned char)(high * 16 + low);
    p->at += 3;
    return 0;
}

int regex_read_escape(struct regex_parser *p, struct regex_class *to, unsigned char *byte) {
    if (p->at == p->end) {
        return -1;
    }
    static const char letters[] = "ntrfva", bytes[] = "\n\t\r\f\v\a";
    char c = *p->at;
    const char *known = strchr(letters, c);
    struct regex_class class = {{0}};
    if (c && known) {
        *byte = (unsigned char)bytes[known - letters];
    } else if (c == 'x') {
        return read_hex(p, byte);
    } else if (put_letter_class(&class, c)) {
        if (c >= 'A' && c <= 'Z') {
            invert(&class);
        }
        merge(to, &class);
        p->at++;
        return 1;
    } else if (isalnum((unsigned char)c) || (unsigned char)c >= 0x80) {
        return -1;
    } else {
        *byte = (unsigned char)c;
    }
    p->at++;
    return 0;
}

static const struct {
    const char *name;
    int (*is)(int);
} posix_classes[] = {
    {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
    {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
    {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
};

/* [:name:] within brackets; 0: there is none here, -1: an unknown one. */
static int read_posix_class(struct regex_parser *p, struct regex_class *to) {
    if (p->end - p->at < 2 || p->at[0] != '[' || p->at[1] != ':') {
        return 0;
    }
    for (size_t i = 0; i < sizeof posix_classes / sizeof posix_classes[0]; i++) {
        size_t n = strlen(posix_classes[i].name);
        if ((size_t)(p->end - p->at) < n + 4 || memcmp(p->at + 2, posix_classes[i].name, n) != 0 ||
            p->at[n + 2] != ':' || p->at[n + 3] != ']') {
            continue;
        }
        for (int b = 0; b < 128; b++) {
            if (posix_classes[i].is(b)) {
                regex_put(to, (unsigned char)b);
            }
        }
        p->at += n + 4;
        return 1;
    }
    return -1;
}

/* One member: 1, a class that was merged; 0, a byte; -1, failed. */
static int read_member(struct regex_parser *p, struct regex_class *to, unsigned char *byte) {
    int kind = read_posix_class(p, to);
    if (kind < 0) {
        regex_fail(p, "there is no such class");
    }
    if (kind != 0) {
        return kind;
    }
    if ((unsigned char)*p->at >= 0x80) {
        regex_fail(p, "only ASCII is possible within [ ]; write (é|è)");
        return -1;
    }
    if (*p->at != '\\') {
        *byte = (unsigned char)*p->at++;
        return 0;
    }
    p->at++;
    kind = regex_read_escape(p, to, byte);
    if (kind < 0) {
        regex_fail(p, "an unknown escape");
    }
    return kind;
}

static bool read_range_end(struct regex_parser *p, struct regex_class *to, unsigned char from) {
    unsigned char upto = from;
    if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
        p->at++;
        int kind = read_member(p, to, &upto);
        if (kind != 0) {
            return kind < 0 ? false : regex_fail(p, "a class can't end a range");
        }
    }
    if (upto < from) {
        return regex_fail(p, "a range that ends before it begins");
    }
    put_range(to, from, upto);
    return true;
}

bool regex_read_bracket(struct regex_parser *p, struct regex_class *to) {
    const char *open = p->at++;
    bool negated = p->at < p->end && *p->at == '^';
    p->at += negated;
    for (bool first = true; p->at < p->end && (first || *p->at != ']'); first = false) {
        unsigned char byte;
        int kind = read_member(p, to, &byte);
        if (kind < 0 || (kind == 0 && !read_range_end(p, to, byte))) {
            return false;
        }
    }
    if (p->at == p->end) {
        p->at = open;
        return regex_fail(p, "[ without ]");
    }
    p->at++;
    if (p->flags & REGEX_FOLD) {
        regex_fold(to);
    }
    if (negated) {
        invert(to);
    }
    return true;
}
