/* All ways through the instructions at once (Thompson, as Pike carries the groups along): each
 * byte of the text is looked at once. */
#include <string.h>

#include "regex/regex.h"

/* Those instructions that wait for the next byte, in order of preference. */
struct threads {
    uint16_t *order, *index; /* a sparse set */
    unsigned n;
    int32_t *slots; /* of each in `order` */
};

struct step {
    uint16_t at;
    int16_t slot; /* >= 0: give it back its value */
    int32_t value;
};

struct regex {
    unsigned length, ngroups, literal_length;
    bool anchored, has_first;
    struct regex_class first;
    const struct regex_class *classes;
    const struct regex_instruction *code;
    const char *literal; /* without which nothing matches; length 0: none known */
    struct threads now, next;
    struct step *stack;
    char names[REGEX_GROUPS][REGEX_NAME];
};

struct run {
    struct regex *r;
    const char *text;
    size_t n;
    unsigned nslots; /* 0: whether is all that is asked */
    uint32_t work;
    bool found;
    int32_t slots[2 * REGEX_GROUPS], best[2 * REGEX_GROUPS];
};

static bool is_word(const struct run *run, size_t at, size_t shift) {
    if (at < shift || at - shift >= run->n) {
        return false;
    }
    unsigned char c = (unsigned char)run->text[at - shift];
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(const struct run *run, uint8_t op, size_t at) {
    switch (op) {
    case REGEX_BEGIN:
        return at == 0;
    case REGEX_END:
        return at == run->n;
    case REGEX_LINE_BEGIN:
        return at == 0 || run->text[at - 1] == '\n';
    case REGEX_LINE_END:
        return at == run->n || run->text[at] == '\n';
    default:
        return (is_word(run, at, 0) != is_word(run, at, 1)) == (op == REGEX_WORD_EDGE);
    }
}

static bool has(const struct threads *set, unsigned pc) {
    return set->index[pc] < set->n && set->order[set->index[pc]] == pc;
}

/* Follows what takes no byte, from `pc` on. */
static void follow(struct run *run, struct threads *set, unsigned pc, size_t at, unsigned *depth) {
    struct regex *r = run->r;
    while (!has(set, pc)) {
        const struct regex_instruction *i = r->code + pc;
        run->work++;
        set->index[pc] = (uint16_t)set->n;
        set->order[set->n++] = (uint16_t)pc;
        if (i->op == REGEX_JUMP) {
            pc = (unsigned)((int)pc + i->x);
        } else if (i->op == REGEX_SPLIT) {
            r->stack[(*depth)++] = (struct step){.at = (uint16_t)((int)pc + i->y), .slot = -1};
            pc = (unsigned)((int)pc + i->x);
        } else if (i->op == REGEX_SAVE) {
            if (i->byte < run->nslots) {
                r->stack[(*depth)++] = (struct step){.slot = i->byte, .value = run->slots[i->byte]};
                run->slots[i->byte] = (int32_t)at;
            }
            pc++;
        } else if (i->op >= REGEX_BEGIN && i->op <= REGEX_NO_WORD_EDGE) {
            if (!holds(run, i->op, at)) {
                return;
            }
            pc++;
        } else {
            memcpy(set->slots + (size_t)(set->n - 1) * 2 * r->ngroups, run->slots,
                   run->nslots * sizeof run->slots[0]);
            return;
        }
    }
}

static void add(struct run *run, struct threads *set, unsigned pc, size_t at) {
    unsigned depth = 0;
    follow(run, set, pc, at, &depth);
    while (depth > 0) {
        struct step s = run->r->stack[--depth];
        if (s.slot >= 0) {
            run->slots[s.slot] = s.value;
        } else {
            follow(run, set, s.at, at, &depth);
        }
    }
}

/* Takes the byte at `at`; true: what matches is known, nothing preferred is left. */
static bool take(struct run *run, size_t at) {
    struct regex *r = run->r;
    unsigned char byte = at < run->n ? (unsigned char)run->text[at] : 0;
    r->next.n = 0;
    for (unsigned t = 0; t < r->now.n; t++) {
        unsigned pc = r->now.order[t];
        const struct regex_instruction *i = r->code + pc;
        const int32_t *slots = r->now.slots + (size_t)t * 2 * r->ngroups;
        bool fits = at < run->n && ((i->op == REGEX_BYTE && i->byte == byte) ||
                                    (i->op == REGEX_CLASS && regex_has(r->classes + i->x, byte)));
        if (i->op == REGEX_MATCH) {
            run->found = true;
            memcpy(run->best, slots, run->nslots * sizeof *slots);
            break; /* those behind are less preferred */
        }
        if (fits) {
            memcpy(run->slots, slots, run->nslots * sizeof *slots);
            add(run, &r->next, pc + 1, at + 1);
        }
    }
    run->work += r->now.n;
    struct threads other = r->now;
    r->now = r->next;
    r->next = other;
    return run->found && (run->nslots == 0 || r->now.n == 0);
}

static size_t skip(const struct regex *r, const char *text, size_t at, size_t n) {
    while (at < n && !regex_has(&r->first, (unsigned char)text[at])) {
        at++;
    }
    return at;
}

static int search(struct run *run) {
    struct regex *r = run->r;
    r->now.n = 0;
    for (size_t at = 0;; at++) {
        if (!run->found && (at == 0 || !r->anchored)) {
            if (r->now.n == 0 && r->has_first) {
                at = r->anchored ? at : skip(r, run->text, at, run->n);
            }
            memset(run->slots, -1, sizeof run->slots);
            add(run, &r->now, 0, at);
        }
        if (r->now.n == 0 && (run->found || r->anchored)) {
            return run->found;
        }
        if (take(run, at)) {
            return 1;
        }
        if (run->work > REGEX_WORK) {
            return -1;
        }
        if (at >= run->n) {
            return run->found;
        }
    }
}

int regex_match(struct regex *r, const char *text, size_t n, struct regex_span *spans) {
    if (n > INT32_MAX - 1) {
        return -1;
    }
    if (r->literal_length > 0 && !memmem(text, n, r->literal, r->literal_length)) {
        return 0;
    }
    struct run run = {.r = r, .text = text, .n = n, .nslots = spans ? 2 * r->ngroups : 0};
    int found = search(&run);
    for (unsigned i = 0; spans && found > 0 && i < REGEX_GROUPS; i++) {
        bool took_part = i < r->ngroups && run.best[2 * i + 1] >= 0;
        spans[i] = took_part ? (struct regex_span){run.best[2 * i], run.best[2 * i + 1]}
                             : (struct regex_span){-1, -1};
    }
    return found;
}

/* Where what begins at `pc` and may be left out ends: behind all that its jumps lead to. */
static unsigned end_of_optional(const struct regex_instruction *code, unsigned pc) {
    unsigned end = pc + 1;
    for (unsigned i = pc; i < end; i++) {
        bool jumps = code[i].op == REGEX_JUMP || code[i].op == REGEX_SPLIT;
        int far = !jumps                                               ? 0
                  : code[i].op == REGEX_SPLIT && code[i].y > code[i].x ? code[i].y
                                                                       : code[i].x;
        if ((int)i + far > (int)end) {
            end = (unsigned)((int)i + far);
        }
    }
    return end;
}

/* The longest run of bytes that every match has: those between what may be left out. */
static void find_literal(struct regex *r, char *to) {
    unsigned n = 0;
    char current[REGEX_INSTRUCTIONS];
    for (unsigned pc = 0; pc < r->length;) {
        const struct regex_instruction *i = r->code + pc;
        if (i->op == REGEX_BYTE) {
            current[n++] = (char)i->byte;
        } else if (i->op != REGEX_SAVE) {
            n = 0;
        }
        if (n > r->literal_length) {
            r->literal_length = n;
            memcpy(to, current, n);
        }
        pc = i->op == REGEX_SPLIT ? end_of_optional(r->code, pc) : pc + 1;
    }
}

/* Which bytes a match may begin with; not known when it may be empty, or when an edge comes first.
 */
static void find_first(struct regex *r) {
    struct run run = {.r = r, .text = ""};
    r->has_first = true;
    add(&run, &r->now, 0, 0);
    for (unsigned t = 0; t < r->now.n; t++) {
        const struct regex_instruction *i = r->code + r->now.order[t];
        if (i->op == REGEX_BYTE) {
            regex_put(&r->first, i->byte);
        } else if (i->op == REGEX_CLASS) {
            for (int k = 0; k < 8; k++) {
                r->first.bits[k] |= r->classes[i->x].bits[k];
            }
        } else if (i->op >= REGEX_BEGIN) {
            r->has_first = false;
        }
    }
}

struct layout {
    size_t code, classes, literal, stack, sets[2][2], slots[2], all;
};

static size_t place(size_t *at, size_t bytes) {
    size_t here = (*at + 15) & ~(size_t)15;
    *at = here + bytes;
    return here;
}

static struct layout lay_out(const struct regex_source *s) {
    size_t at = sizeof(struct regex);
    struct layout l;
    l.code = place(&at, s->length * sizeof s->code[0]);
    l.classes = place(&at, s->nclasses * sizeof s->classes[0]);
    l.literal = place(&at, s->length);
    l.stack = place(&at, (s->length + 2) * sizeof(struct step));
    for (int i = 0; i < 2; i++) {
        l.sets[i][0] = place(&at, s->length * sizeof(uint16_t));
        l.sets[i][1] = place(&at, s->length * sizeof(uint16_t));
        l.slots[i] = place(&at, (size_t)s->length * 2 * s->ngroups * sizeof(int32_t));
    }
    l.all = at;
    return l;
}

size_t regex_size(const struct regex_source *s) {
    return lay_out(s).all;
}

static struct threads threads_at(char *base, const struct layout *l, int i) {
    return (struct threads){.order = (void *)(base + l->sets[i][0]),
                            .index = (void *)(base + l->sets[i][1]),
                            .slots = (void *)(base + l->slots[i])};
}

struct regex *regex_pack(const struct regex_source *s, void *memory) {
    struct layout l = lay_out(s);
    char *base = memset(memory, 0, l.all);
    struct regex *r = memory;
    r->length = s->length;
    r->ngroups = s->ngroups;
    r->code = memcpy(base + l.code, s->code, s->length * sizeof s->code[0]);
    r->classes = memcpy(base + l.classes, s->classes, s->nclasses * sizeof s->classes[0]);
    r->literal = base + l.literal;
    r->stack = (void *)(base + l.stack);
    r->now = threads_at(base, &l, 0);
    r->next = threads_at(base, &l, 1);
    memcpy(r->names, s->names, sizeof r->names);
    r->anchored = r->code[1].op == REGEX_BEGIN;
    find_literal(r, base + l.literal);
    find_first(r);
    return r;
}

unsigned regex_groups(const struct regex *r) {
    return r->ngroups;
}

const char *regex_name(const struct regex *r, unsigned group) {
    return r->names[group];
}
