/* Reads an expression and writes instructions in one go; what follows a part (a quantifier, a |)
 * inserts before it, which is possible since all jumps are relative and none leads out of its part.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "regex/parser.h"

enum { DEPTH = 50 };

bool regex_fail(struct regex_parser *p, const char *why) {
    if (!p->failed) {
        p->failed = true;
        snprintf(p->to->why, sizeof p->to->why, "at byte %d: %s", (int)(p->at - p->begin) + 1, why);
    }
    return false;
}

struct regex_instruction *regex_insert(struct regex_parser *p, unsigned at, uint8_t op) {
    struct regex_source *s = p->to;
    if (s->length == REGEX_INSTRUCTIONS) {
        regex_fail(p, "it is too large: repeats ask for more than 2000 steps");
        return NULL;
    }
    struct regex_instruction *made = s->code + at;
    memmove(made + 1, made, (s->length - at) * sizeof *made);
    s->length++;
    *made = (struct regex_instruction){.op = op};
    return made;
}

static struct regex_instruction *emit(struct regex_parser *p, uint8_t op) {
    return regex_insert(p, p->to->length, op);
}

static bool emit_class(struct regex_parser *p, const struct regex_class *class) {
    struct regex_source *s = p->to;
    for (unsigned i = 0; i <= s->nclasses; i++) {
        if (i == REGEX_CLASSES) {
            return regex_fail(p, "more than 400 classes of characters");
        }
        if (i == s->nclasses) {
            s->classes[s->nclasses++] = *class;
        }
        if (memcmp(s->classes + i, class, sizeof *class) == 0) {
            struct regex_instruction *made = emit(p, REGEX_CLASS);
            return made && (made->x = (int16_t)i, true);
        }
    }
    return false;
}

static bool emit_byte(struct regex_parser *p, unsigned char byte) {
    if ((p->flags & REGEX_FOLD) && isalpha(byte)) {
        struct regex_class both = {{0}};
        regex_put(&both, byte);
        regex_fold(&both);
        return emit_class(p, &both);
    }
    struct regex_instruction *made = emit(p, REGEX_BYTE);
    return made && (made->byte = byte, true);
}

static bool emit_dot(struct regex_parser *p) {
    struct regex_class all = {{~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}};
    if (!(p->flags & REGEX_DOT_ALL)) {
        all.bits[0] &= ~(1u << '\n');
    }
    return emit_class(p, &all);
}

/* A character of several bytes is one for what repeats it. */
static bool read_literal(struct regex_parser *p) {
    do {
        if (!emit_byte(p, (unsigned char)*p->at)) {
            return false;
        }
        p->at++;
    } while (p->at < p->end && ((unsigned char)p->at[-1] & 0x80) &&
             ((unsigned char)*p->at & 0xC0) == 0x80);
    return true;
}

/* 1: it was an edge, and takes no quantifier. */
static int read_edge(struct regex_parser *p) {
    bool escaped = *p->at == '\\' && p->at + 1 < p->end, lines = p->flags & REGEX_LINES;
    int op = -1;
    switch (escaped ? p->at[1] : *p->at) {
    case '^':
        op = escaped ? -1 : lines ? REGEX_LINE_BEGIN : REGEX_BEGIN;
        break;
    case '$':
        op = escaped ? -1 : lines ? REGEX_LINE_END : REGEX_END;
        break;
    case 'A':
        op = escaped ? REGEX_BEGIN : -1;
        break;
    case 'z':
        op = escaped ? REGEX_END : -1;
        break;
    case 'b':
        op = escaped ? REGEX_WORD_EDGE : -1;
        break;
    case 'B':
        op = escaped ? REGEX_NO_WORD_EDGE : -1;
        break;
    default:
        break;
    }
    if (op < 0) {
        return 0;
    }
    p->at += 1 + escaped;
    return emit(p, (uint8_t)op) ? 1 : -1;
}

static bool read_alternatives(struct regex_parser *p);

static bool read_flags(struct regex_parser *p, bool *whole_group) {
    bool on = true;
    for (; p->at < p->end; p->at++) {
        unsigned flag = 0;
        switch (*p->at) {
        case '-':
            on = false;
            continue;
        case 'i':
            flag = REGEX_FOLD;
            break;
        case 's':
            flag = REGEX_DOT_ALL;
            break;
        case 'm':
            flag = REGEX_LINES;
            break;
        case ')':
        case ':':
            *whole_group = *p->at++ == ')';
            return true;
        default:
            return regex_fail(
                p, "(?…: only i, s, m, groups (?:…) and names (?P<name>…) are known; looking "
                   "around can't be done in linear time");
        }
        p->flags = on ? p->flags | flag : p->flags & ~flag;
    }
    return regex_fail(p, "( without )");
}

static bool read_name(struct regex_parser *p, char *name) {
    size_t n = 0;
    for (; p->at < p->end && (isalnum((unsigned char)*p->at) || *p->at == '_'); p->at++) {
        if (n == REGEX_NAME - 1) {
            return regex_fail(p, "a name of a group longer than 31 bytes");
        }
        name[n++] = *p->at;
    }
    name[n] = 0;
    if (n == 0 || p->at == p->end || *p->at != '>') {
        return regex_fail(p, "a group's name is of letters, digits and _: (?P<name>…)");
    }
    p->at++;
    return true;
}

static bool emit_save(struct regex_parser *p, unsigned slot) {
    struct regex_instruction *made = emit(p, REGEX_SAVE);
    return made && (made->byte = (uint8_t)slot, true);
}

static bool starts(const struct regex_parser *p, const char *text) {
    size_t n = strlen(text);
    return (size_t)(p->end - p->at) >= n && memcmp(p->at, text, n) == 0;
}

/* Behind "(": its content, up to behind the ")". */
static bool read_content(struct regex_parser *p, const char *open, unsigned flags) {
    if (!read_alternatives(p)) {
        return false;
    }
    p->flags = flags;
    if (p->at == p->end) {
        p->at = open;
        return regex_fail(p, "( without )");
    }
    p->at++;
    return true;
}

static bool read_capture(struct regex_parser *p, const char *open) {
    struct regex_source *s = p->to;
    char name[REGEX_NAME] = "";
    bool named = starts(p, "?P<") || starts(p, "?<");
    if (named && (starts(p, "?<=") || starts(p, "?<!"))) {
        return regex_fail(p, "looking around can't be done in linear time");
    }
    if (named) {
        p->at += starts(p, "?P<") ? 3 : 2;
        if (!read_name(p, name)) {
            return false;
        }
    }
    unsigned group = s->ngroups;
    if (group == REGEX_GROUPS) {
        return regex_fail(p, "more than 9 groups; (?:…) doesn't count");
    }
    s->ngroups++;
    memcpy(s->names[group], name, sizeof name);
    return emit_save(p, 2 * group) && read_content(p, open, p->flags) &&
           emit_save(p, 2 * group + 1);
}

static bool read_group(struct regex_parser *p) {
    const char *open = p->at++;
    unsigned flags = p->flags;
    if (++p->depth > DEPTH) {
        return regex_fail(p, "nested deeper than 50 groups");
    }
    bool good;
    if (starts(p, "?") && !starts(p, "?P<") && !starts(p, "?<")) {
        bool whole_group = false;
        p->at++;
        good = read_flags(p, &whole_group) && (whole_group || read_content(p, open, flags));
    } else {
        good = read_capture(p, open);
    }
    p->depth--;
    return good;
}

static bool read_escape(struct regex_parser *p) {
    struct regex_class class = {{0}};
    unsigned char byte;
    p->at++;
    int kind = regex_read_escape(p, &class, &byte);
    if (kind < 0) {
        return regex_fail(p, p->at < p->end && isdigit((unsigned char)*p->at)
                                 ? "a back reference can't be done in linear time"
                                 : "an unknown escape");
    }
    return kind ? emit_class(p, &class) : emit_byte(p, byte);
}

static bool read_atom(struct regex_parser *p) {
    struct regex_class class = {{0}};
    switch (*p->at) {
    case '(':
        return read_group(p);
    case '[':
        return regex_read_bracket(p, &class) && emit_class(p, &class);
    case '.':
        p->at++;
        return emit_dot(p);
    case '\\':
        return read_escape(p);
    case '*':
    case '+':
    case '?':
        return regex_fail(p, "nothing to repeat");
    default:
        return read_literal(p);
    }
}

static bool read_piece(struct regex_parser *p) {
    int edge = read_edge(p);
    if (edge < 0) {
        return false;
    }
    unsigned at = p->to->length;
    if (edge == 0 && !read_atom(p)) {
        return false;
    }
    if (edge == 0 && p->at < p->end && p->at[-1] == ')' && at == p->to->length) {
        return true; /* flags alone */
    }
    if (edge && p->at < p->end && *p->at && strchr("*+?", *p->at)) {
        return regex_fail(p, "nothing to repeat");
    }
    return edge || regex_read_repeats(p, at);
}

static bool end_alternative(struct regex_parser *p, unsigned begin, int *last_jump) {
    int length = (int)(p->to->length - begin);
    struct regex_instruction *split = regex_insert(p, begin, REGEX_SPLIT);
    if (!split) {
        return false;
    }
    split->x = 1;
    split->y = (int16_t)(length + 2);
    struct regex_instruction *jump = emit(p, REGEX_JUMP);
    if (!jump) {
        return false;
    }
    jump->x = (int16_t)*last_jump; /* a chain until the end is known */
    *last_jump = (int)p->to->length - 1;
    return true;
}

static bool read_alternatives(struct regex_parser *p) {
    unsigned begin = p->to->length;
    int last_jump = -1;
    while (p->at < p->end && *p->at != ')') {
        if (*p->at != '|') {
            if (!read_piece(p)) {
                return false;
            }
            continue;
        }
        p->at++;
        if (!end_alternative(p, begin, &last_jump)) {
            return false;
        }
        begin = p->to->length;
    }
    while (last_jump >= 0) {
        struct regex_instruction *jump = p->to->code + last_jump;
        int before = jump->x;
        jump->x = (int16_t)((int)p->to->length - last_jump);
        last_jump = before;
    }
    return true;
}

bool regex_compile(struct regex_source *s, const char *pattern, size_t n) {
    memset(s, 0, sizeof *s);
    struct regex_parser p = {.to = s, .begin = pattern, .at = pattern, .end = pattern + n};
    s->ngroups = 1;
    if (!emit_save(&p, 0) || !read_alternatives(&p)) {
        return false;
    }
    if (p.at < p.end) {
        return regex_fail(&p, ") without (");
    }
    return emit_save(&p, 1) && emit(&p, REGEX_MATCH);
}
