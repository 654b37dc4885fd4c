#include "curl/session.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "curl/code.h"
#include "util/clock.h"

enum {
    MAX_HEAD = 64 * 1024, /* bytes of all header lines of an answer */
    FEW = 4,              /* requests under way while they are answered promptly */
    MANY = 32,            /* while they are not: one that hangs must not hold up the others */
    PROMPT_MS = 250
};

struct transfer {
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer body;
    size_t head_len;
    const char *cap; /* which of our limits it broke */
    int id;
    char error[CURL_ERROR_SIZE];
};

struct session {
    CURLM *multi;
    CURL *model; /* carries what all requests share */
    uint64_t deadline_ns;
    size_t max_body;
    struct transfer *queue; /* not begun, in order */
    struct transfer *active;
    struct transfer *last; /* the one session_next() returned, kept for its result */
    int under_way;
    int allowed;
    int ids;
};

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx) {
    struct transfer *t = ctx;
    if (buffer_append(&t->body, bytes, size * n)) {
        return size * n;
    }
    t->cap = "the answer is larger than it may be";
    return 0;
}

static size_t on_head(char *bytes, size_t size, size_t n, void *ctx) {
    struct transfer *t = ctx;
    (void)bytes;
    t->head_len += size * n;
    if (t->head_len <= MAX_HEAD) {
        return size * n;
    }
    t->cap = "the head of the answer is larger than 64 KiB";
    return 0;
}

static void free_transfer(struct transfer *t) {
    if (t) {
        curl_easy_cleanup(t->easy);
        curl_slist_free_all(t->headers);
        buffer_free(&t->body);
        free(t);
    }
}

static void set_model(CURL *model, const struct session_options *o) {
    curl_easy_setopt(model, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(model, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(model, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(model, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can decode */
    curl_easy_setopt(model, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(model, CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs is left behind */
    curl_easy_setopt(model, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
    curl_easy_setopt(model, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(model, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(model, CURLOPT_HEADERFUNCTION, on_head);
    const struct {
        CURLoption option;
        const char *value;
    } strings[] = {
        {CURLOPT_CAINFO, o->ca_file},       {CURLOPT_CAPATH, o->ca_dir},
        {CURLOPT_SSLCERT, o->cert},         {CURLOPT_SSLKEY, o->key},
        {CURLOPT_USERAGENT, o->user_agent}, {CURLOPT_NOPROXY, o->no_proxy},
    };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (strings[i].value) {
            curl_easy_setopt(model, strings[i].option, strings[i].value);
        }
    }
}

struct session *session_open(const struct session_options *options) {
    struct session *s = calloc(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->deadline_ns = clock_mono_ns() + options->deadline_ms * 1000000;
    s->max_body = options->max_body;
    s->allowed = FEW;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        s->multi = curl_multi_init();
        s->model = curl_easy_init();
    }
    if (!s->multi || !s->model) {
        session_close(s);
        return NULL;
    }
    set_model(s->model, options);
    return s;
}

void session_renew(struct session *s, uint64_t deadline_ms) {
    s->deadline_ns = clock_mono_ns() + deadline_ms * 1000000;
    s->allowed = FEW;
}

static bool set_headers(struct transfer *t, const struct session_request *request) {
    for (const char *const *line = request->headers; line && *line; line++) {
        struct curl_slist *longer = curl_slist_append(t->headers, *line);
        if (!longer) {
            return false;
        }
        t->headers = longer;
    }
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

static bool set_request(struct transfer *t, const struct session_request *request) {
    if (curl_easy_setopt(t->easy, CURLOPT_URL, request->url) != CURLE_OK ||
        !set_headers(t, request)) {
        return false;
    }
    if (request->body) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        if (curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, request->body) != CURLE_OK) {
            return false;
        }
    }
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    return true;
}

static void append(struct transfer **list, struct transfer *t) {
    while (*list) {
        list = &(*list)->next;
    }
    *list = t;
}

int session_add(struct session *s, const struct session_request *request) {
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        return 0;
    }
    buffer_init(&t->body, s->max_body);
    t->easy = curl_easy_duphandle(s->model);
    if (!t->easy || !set_request(t, request)) {
        free_transfer(t);
        return 0;
    }
    t->id = ++s->ids;
    append(&s->queue, t);
    return t->id;
}

static uint64_t left_ms(const struct session *s) {
    uint64_t now = clock_mono_ns();
    return now < s->deadline_ns ? (s->deadline_ns - now + 999999) / 1000000 : 0;
}

static void begin_some(struct session *s) {
    while (s->queue && s->under_way < s->allowed && left_ms(s) > 0) {
        struct transfer *t = s->queue;
        s->queue = t->next;
        t->next = s->active;
        s->active = t;
        s->under_way++;
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)left_ms(s));
        curl_multi_add_handle(s->multi, t->easy);
    }
}

static void unlink_transfer(struct transfer **list, const struct transfer *t) {
    while (*list && *list != t) {
        list = &(*list)->next;
    }
    if (*list) {
        *list = t->next;
    }
}

static void describe(struct session *s, struct transfer *t, CURLcode rc,
                     struct session_result *out) {
    curl_off_t wire = 0;
    curl_off_t retry_after = 0;
    long connects = 0;
    char *redirect = NULL;
    *out =
        (struct session_result){.id = t->id, .body = &t->body, .code = code_of(rc, t->cap != NULL)};
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &wire);
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &redirect);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (out->code) {
        out->why = t->cap ? t->cap : t->error[0] ? t->error : curl_easy_strerror(rc);
    }
    out->wire_bytes = (uint64_t)wire;
    out->retry_after = (long)retry_after;
    out->reused = connects == 0;
    out->redirect = redirect;
    s->last = t;
}

static bool take_finished(struct session *s, struct session_result *out) {
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(s->multi, &left); m;
         m = curl_multi_info_read(s->multi, &left)) {
        struct transfer *t = NULL;
        CURLcode rc = m->data.result;
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) != CURLE_OK) {
            continue;
        }
        unlink_transfer(&s->active, t);
        s->under_way--;
        curl_multi_remove_handle(s->multi, t->easy);
        describe(s, t, rc, out);
        return true;
    }
    return false;
}

/* The deadline has come: what is left fails, one by one. */
static bool take_late(struct session *s, struct session_result *out) {
    struct transfer *t = s->active ? s->active : s->queue;
    if (!t) {
        return false;
    }
    if (s->active) {
        s->active = t->next;
        s->under_way--;
        curl_multi_remove_handle(s->multi, t->easy);
    } else {
        s->queue = t->next;
    }
    describe(s, t, CURLE_OPERATION_TIMEDOUT, out);
    if (!t->error[0]) {
        out->why = "its turn did not come before the deadline";
    }
    return true;
}

bool session_next(struct session *s, struct session_result *out) {
    free_transfer(s->last);
    s->last = NULL;
    uint64_t waiting_since = clock_mono_ns();
    while (s->queue || s->active) {
        int running = 0;
        begin_some(s);
        if (curl_multi_perform(s->multi, &running) != CURLM_OK) {
            return take_late(s, out);
        }
        if (take_finished(s, out)) {
            return true;
        }
        /* libcurl has the same deadline for each request, and a better sentence. */
        if (left_ms(s) == 0 && clock_mono_ns() > s->deadline_ns + 50000000) {
            return take_late(s, out);
        }
        if (clock_mono_ns() - waiting_since > (uint64_t)PROMPT_MS * 1000000) {
            s->allowed = MANY;
        }
        uint64_t wait = left_ms(s) + 5;
        curl_multi_poll(s->multi, NULL, 0, (int)(wait < PROMPT_MS ? wait : PROMPT_MS), NULL);
    }
    return false;
}

static void free_list(struct session *s, struct transfer *t) {
    while (t) {
        struct transfer *next = t->next;
        curl_multi_remove_handle(s->multi, t->easy);
        free_transfer(t);
        t = next;
    }
}

void session_close(struct session *s) {
    if (!s) {
        return;
    }
    free_transfer(s->last);
    free_list(s, s->active);
    free_list(s, s->queue);
    curl_easy_cleanup(s->model);
    curl_multi_cleanup(s->multi);
    free(s);
}
