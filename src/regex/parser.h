/* What the two halves of the compiler share. */
#pragma once

#include "regex/regex.h"

enum { REGEX_FOLD = 1, REGEX_DOT_ALL = 2, REGEX_LINES = 4 };

struct regex_parser {
    struct regex_source *to;
    const char *begin, *at, *end;
    unsigned flags, depth;
    bool failed;
};

/* Notes the first thing that is wrong; returns false. */
bool regex_fail(struct regex_parser *p, const char *why);

/* NULL: there is no more room. */
struct regex_instruction *regex_insert(struct regex_parser *p, unsigned at, uint8_t op);

/* What may stand behind the part whose code begins at `at`: * + ? {2,5}, lazy with another ?. */
bool regex_read_repeats(struct regex_parser *p, unsigned at);

/* At a '[': reads up to behind the ']'. */
bool regex_read_bracket(struct regex_parser *p, struct regex_class *to);

/* At what follows a backslash: 1, a class; 0, one byte in *byte; -1, none of both, and nothing was
 * read. */
int regex_read_escape(struct regex_parser *p, struct regex_class *to, unsigned char *byte);

/* Adds the other case of each letter. */
void regex_fold(struct regex_class *c);
