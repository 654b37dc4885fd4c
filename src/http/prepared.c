#include "http/prepared.h"

#include <string.h>

void http_prepared_init(struct http_prepared *p) {
    *p = (struct http_prepared){0};
    for (unsigned i = 0; i < HTTP_PREPARED_SLOTS; i++) {
        buffer_init(&p->slots[i].head, HTTP_PREPARED_HEAD_MAX);
        buffer_init(&p->slots[i].answer, HTTP_PREPARED_MAX);
    }
}

void http_prepared_free(struct http_prepared *p) {
    for (unsigned i = 0; i < HTTP_PREPARED_SLOTS; i++) {
        buffer_free(&p->slots[i].head);
        buffer_free(&p->slots[i].answer);
    }
    http_prepared_forget(p);
}

void http_prepared_forget(struct http_prepared *p) {
    for (unsigned i = 0; p->count && i < HTTP_PREPARED_SLOTS; i++) {
        p->slots[i].until = 0;
    }
    p->count = 0;
}

const struct buffer *http_prepared_find(const struct http_prepared *p, const char *bytes, size_t n,
                                        uint64_t now, uint64_t second, size_t *used) {
    for (unsigned i = 0; p->count && i < HTTP_PREPARED_SLOTS; i++) {
        const struct http_prepared_slot *s = &p->slots[i];
        if (now < s->until && second == s->second && s->head.len <= n &&
            memcmp(bytes, s->head.data, s->head.len) == 0) {
            *used = s->head.len;
            return &s->answer;
        }
    }
    return NULL;
}

void http_prepared_keep(struct http_prepared *p, const char *request, size_t n,
                        const struct buffer *head, const char *body, size_t body_len,
                        uint64_t until, uint64_t second) {
    struct http_prepared_slot *s = &p->slots[p->next];
    for (unsigned i = 0; i < HTTP_PREPARED_SLOTS;
         i++) { /* the same request's slot, if it has one */
        if (p->slots[i].head.len == n && memcmp(p->slots[i].head.data, request, n) == 0) {
            s = &p->slots[i];
        }
    }
    p->next += s == &p->slots[p->next];
    p->next %= HTTP_PREPARED_SLOTS;
    s->until = 0;
    s->head.len = s->answer.len = 0;
    if (buffer_append(&s->head, request, n) && buffer_append(&s->answer, head->data, head->len) &&
        buffer_append(&s->answer, body, body_len)) {
        s->until = until;
        s->second = second;
        p->count = HTTP_PREPARED_SLOTS;
    }
}
