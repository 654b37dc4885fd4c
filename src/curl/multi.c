#include "curl/multi.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "curl/code.h"

enum { MAX_HEAD = 64 * 1024, MAX_EVENTS = 64 };

struct transfer {
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    struct buffer head;
    struct buffer body;
    const char *cap; /* which of our limits it broke */
    int id;
    char error[CURL_ERROR_SIZE];
};

struct multi {
    CURLM *multi;
    struct transfer *active;
    struct transfer *last; /* the one that multi_next() returned, kept for its result */
    int ids;
    int count;
    long timeout_ms;
    int epoll; /* watches all sockets; the loop watches it */
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
    if (buffer_append(&t->head, bytes, size * n)) {
        return size * n;
    }
    t->cap = "the head of the answer is larger than 64 KiB";
    return 0;
}

static int on_timer(CURLM *handle, long ms, void *ctx) {
    (void)handle;
    ((struct multi *)ctx)->timeout_ms = ms;
    return 0;
}

/* A descriptor that is closed has left the epoll by itself: to remove it again is no error. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket) {
    const struct multi *m = ctx;
    (void)easy;
    (void)socket;
    struct epoll_event event = {.data.fd = fd};
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(m->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (epoll_ctl(m->epoll, EPOLL_CTL_MOD, fd, &event) == 0 ||
        epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &event) == 0) {
        return 0;
    }
    return -1;
}

static void free_transfer(struct transfer *t) {
    if (t) {
        curl_easy_cleanup(t->easy);
        curl_slist_free_all(t->headers);
        curl_slist_free_all(t->connect_to);
        buffer_free(&t->head);
        buffer_free(&t->body);
        free(t);
    }
}

struct multi *multi_open(void) {
    struct multi *m = calloc(1, sizeof *m);
    if (!m || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(m);
        return NULL;
    }
    m->timeout_ms = -1;
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    m->multi = curl_multi_init();
    if (!m->multi || m->epoll < 0) {
        multi_close(m);
        return NULL;
    }
    curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, 4L);
    return m;
}

static bool add_line(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer) {
        return false;
    }
    *list = longer;
    return true;
}

static bool set_strings(CURL *easy, const struct multi_request *r) {
    const struct {
        CURLoption option;
        const char *value;
    } strings[] = {
        {CURLOPT_URL, r->url},
        {CURLOPT_UNIX_SOCKET_PATH, r->unix_path},
        {CURLOPT_CAINFO, r->ca_file},
        {CURLOPT_SSLCERT, r->certificate},
        {CURLOPT_SSLKEY, r->key},
        {CURLOPT_USERPWD, r->user},
        {CURLOPT_NOPROXY, "*"}, /* what is checked is the server itself */
        {CURLOPT_PROTOCOLS_STR, "http,https"},
        {CURLOPT_REDIR_PROTOCOLS_STR, "http,https"},
        {CURLOPT_ACCEPT_ENCODING, ""},
        {CURLOPT_USERAGENT, "agent"},
    };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (strings[i].value &&
            curl_easy_setopt(easy, strings[i].option, strings[i].value) != CURLE_OK) {
            return false;
        }
    }
    return true;
}

static bool set_body(CURL *easy, const struct multi_request *r) {
    if (r->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        if (curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, r->body) != CURLE_OK) {
            return false;
        }
    }
    if (r->method && strcmp(r->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    return !r->method || curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method) == CURLE_OK;
}

static void set_options(CURL *easy, const struct multi_request *r) {
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L); /* each request measures its own connection */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, r->redirects > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, r->redirects);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
}

static bool set_request(struct transfer *t, const struct multi_request *r) {
    for (const char *const *line = r->headers; line && *line; line++) {
        if (!add_line(&t->headers, *line)) {
            return false;
        }
    }
    if (r->connect_to && !add_line(&t->connect_to, r->connect_to)) {
        return false;
    }
    set_options(t->easy, r);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    return set_strings(t->easy, r) && set_body(t->easy, r);
}

int multi_add(struct multi *m, const struct multi_request *request) {
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        return 0;
    }
    buffer_init(&t->head, MAX_HEAD);
    buffer_init(&t->body, request->max_body);
    t->easy = curl_easy_init();
    if (!t->easy || !set_request(t, request) ||
        curl_multi_add_handle(m->multi, t->easy) != CURLM_OK) {
        free_transfer(t);
        return 0;
    }
    t->id = ++m->ids;
    t->next = m->active;
    m->active = t;
    m->count++;
    return t->id;
}

static void forget(struct multi *m, struct transfer *t) {
    for (struct transfer **at = &m->active; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            m->count--;
            break;
        }
    }
    curl_multi_remove_handle(m->multi, t->easy);
}

void multi_remove(struct multi *m, int id) {
    struct transfer *t = m->active;
    while (t && t->id != id) {
        t = t->next;
    }
    if (t) {
        forget(m, t);
        free_transfer(t);
    }
}

int multi_fd(const struct multi *m) {
    return m->epoll;
}

static int curl_events(uint32_t events) {
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

void multi_act(struct multi *m, bool time_has_come) {
    struct epoll_event events[MAX_EVENTS];
    int running = 0;
    if (time_has_come) {
        m->timeout_ms = -1;
        curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    int n = epoll_wait(m->epoll, events, MAX_EVENTS, 0);
    for (int i = 0; i < n; i++) {
        curl_multi_socket_action(m->multi, events[i].data.fd, curl_events(events[i].events),
                                 &running);
    }
}

long multi_timeout(const struct multi *m) {
    return m->timeout_ms;
}

static double seconds_of(CURL *easy, CURLINFO info) {
    curl_off_t us = 0;
    curl_easy_getinfo(easy, info, &us);
    return (double)us / 1e6;
}

/* Of the server's own certificate, which comes first. */
static const char *expiry_of(CURL *easy) {
    struct curl_certinfo *certs = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &certs) != CURLE_OK || !certs ||
        certs->num_of_certs < 1) {
        return NULL;
    }
    static const char key[] = "Expire date:";
    for (struct curl_slist *line = certs->certinfo[0]; line; line = line->next) {
        if (strncmp(line->data, key, sizeof key - 1) == 0) {
            return line->data + sizeof key - 1;
        }
    }
    return NULL;
}

static void describe(struct transfer *t, CURLcode rc, struct multi_result *out) {
    char *address = NULL;
    *out = (struct multi_result){.id = t->id,
                                 .code = code_of(rc, t->cap != NULL),
                                 .head = &t->head,
                                 .body = &t->body,
                                 .certificate = expiry_of(t->easy)};
    if (out->code) {
        out->why = t->cap ? t->cap : t->error[0] ? t->error : curl_easy_strerror(rc);
    }
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &address);
    out->address = address;
    out->connect = seconds_of(t->easy, CURLINFO_CONNECT_TIME_T);
    out->tls = seconds_of(t->easy, CURLINFO_APPCONNECT_TIME_T);
    out->first_byte = seconds_of(t->easy, CURLINFO_STARTTRANSFER_TIME_T);
    out->total = seconds_of(t->easy, CURLINFO_TOTAL_TIME_T);
}

bool multi_next(struct multi *m, struct multi_result *out) {
    int left = 0;
    free_transfer(m->last);
    m->last = NULL;
    for (CURLMsg *message = curl_multi_info_read(m->multi, &left); message;
         message = curl_multi_info_read(m->multi, &left)) {
        struct transfer *t = NULL;
        CURLcode rc = message->data.result;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK) {
            forget(m, t);
            describe(t, rc, out);
            m->last = t;
            return true;
        }
    }
    return false;
}

int multi_count(const struct multi *m) {
    return m->count;
}

void multi_close(struct multi *m) {
    if (!m) {
        return;
    }
    free_transfer(m->last);
    while (m->active) {
        struct transfer *t = m->active;
        forget(m, t);
        free_transfer(t);
    }
    curl_multi_cleanup(m->multi);
    if (m->epoll >= 0) {
        close(m->epoll);
    }
    free(m);
}
