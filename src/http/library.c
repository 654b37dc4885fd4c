/* The parser library, used for one complete head at a time: it finds the pieces, refuses what it
 * knows to be wrong and says whether the connection may live on. */
#include "http/parser.h"

#ifdef HAVE_LLHTTP
#include <llhttp.h>
typedef llhttp_t library_parser;
typedef llhttp_settings_t library_settings;
#define library_keeps_alive llhttp_should_keep_alive
#else
#include <http_parser.h>
typedef http_parser library_parser;
typedef http_parser_settings library_settings;
#define library_keeps_alive http_should_keep_alive
#endif

struct reading {
    struct http_request *p;
    bool too_many;
    bool complete;
};

static struct http_span span_of(const struct reading *r, const char *at, size_t n) {
    return (struct http_span){(uint16_t)(at - r->p->head.data), (uint16_t)n};
}

/* The head is handed over in one piece, so each of these is called once for its thing. */
static int on_url(library_parser *lib, const char *at, size_t n) {
    struct reading *r = lib->data;
    r->p->target = span_of(r, at, n);
    return 0;
}

static int on_field(library_parser *lib, const char *at, size_t n) {
    struct reading *r = lib->data;
    if (r->p->header_count == HTTP_HEADERS_MAX) {
        r->too_many = true;
        return -1;
    }
    struct http_pair *pair = &r->p->headers[r->p->header_count++];
    pair->name = span_of(r, at, n);
    pair->value = (struct http_span){pair->name.at, 0};
    return 0;
}

static int on_value(library_parser *lib, const char *at, size_t n) {
    struct reading *r = lib->data;
    if (r->p->header_count && n) {
        r->p->headers[r->p->header_count - 1].value = span_of(r, at, n);
    }
    return 0;
}

static int on_complete(library_parser *lib) {
    struct reading *r = lib->data;
    r->p->minor = lib->http_minor;
    r->p->keep_alive = library_keeps_alive(lib) != 0;
    r->complete = true;
    return 0;
}

#ifdef HAVE_LLHTTP

static bool execute(struct reading *r, const library_settings *settings, bool *unknown_method) {
    llhttp_t lib;
    llhttp_init(&lib, HTTP_REQUEST, settings);
    lib.data = r;
    llhttp_errno_t error = llhttp_execute(&lib, r->p->head.data, r->p->head.len);
    *unknown_method = error == HPE_INVALID_METHOD;
    /* An Upgrade pauses the library behind the head; we don't upgrade, so it is a plain request. */
    return r->complete && (error == HPE_OK || error == HPE_PAUSED_UPGRADE);
}

#else

static bool execute(struct reading *r, const library_settings *settings, bool *unknown_method) {
    http_parser lib;
    http_parser_init(&lib, HTTP_REQUEST);
    lib.data = r;
    http_parser_execute(&lib, settings, r->p->head.data, r->p->head.len);
    *unknown_method = HTTP_PARSER_ERRNO(&lib) == HPE_INVALID_METHOD;
    return r->complete && HTTP_PARSER_ERRNO(&lib) == HPE_OK;
}

#endif

int http_library_read(struct http_request *p) {
    static const library_settings settings = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_complete,
    };
    struct reading r = {.p = p};
    bool unknown_method = false;
    if (execute(&r, &settings, &unknown_method)) {
        return 0;
    }
    if (r.too_many) {
        return 431;
    }
    return unknown_method ? 501 : 400;
}
