/* Regular expressions in linear time: length of the text times size of the expression, whatever
 * either of them is, so that neither a registry nor a log can make a match take long. What can't be
 * done so (back references, looking around) is refused. Knows bytes; ASCII within [ ]. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REGEX_INSTRUCTIONS = 2000,
    REGEX_CLASSES = 400,
    REGEX_GROUPS = 10, /* the whole match included */
    REGEX_NAME = 32,
    REGEX_WORK = 20000000, /* steps of one match: about 0.2 s */
};

enum regex_op {
    REGEX_BYTE,
    REGEX_CLASS,
    REGEX_SPLIT, /* to both, x first */
    REGEX_JUMP,
    REGEX_SAVE,
    REGEX_BEGIN, /* from here on: true or not, without taking a byte */
    REGEX_END,
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_WORD_EDGE,
    REGEX_NO_WORD_EDGE,
    REGEX_MATCH,
};

struct regex_instruction {
    uint8_t op, byte; /* byte: also the number of a slot */
    int16_t x, y;     /* relative targets; x: also the number of a class */
};

struct regex_class {
    uint32_t bits[8];
};

/* What regex_compile() makes. */
struct regex_source {
    struct regex_instruction code[REGEX_INSTRUCTIONS];
    struct regex_class classes[REGEX_CLASSES];
    char names[REGEX_GROUPS][REGEX_NAME]; /* "": none */
    unsigned length, nclasses, ngroups;
    char why[160];
};

struct regex;

struct regex_span {
    int32_t begin, end; /* -1: the group took no part */
};

/* false: it is none, and s->why says where and why. */
bool regex_compile(struct regex_source *s, const char *pattern, size_t n);

/* The bytes that it needs, and it itself in so many bytes at `memory`: no more pointers than into
 * there, nothing to be freed. */
size_t regex_size(const struct regex_source *s);
struct regex *regex_pack(const struct regex_source *s, void *memory);

/* 1: found, and where the leftmost is, with spans != NULL (REGEX_GROUPS of them); 0: not; -1: it
 * would take more than REGEX_WORK. Not for two threads at once. */
int regex_match(struct regex *r, const char *text, size_t n, struct regex_span *spans);

unsigned regex_groups(const struct regex *r);
const char *regex_name(const struct regex *r, unsigned group);

static inline bool regex_has(const struct regex_class *c, unsigned char byte) {
    return c->bits[byte >> 5] >> (byte & 31) & 1;
}

static inline void regex_put(struct regex_class *c, unsigned char byte) {
    c->bits[byte >> 5] |= 1u << (byte & 31);
}
