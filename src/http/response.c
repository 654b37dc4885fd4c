#include "http/response.h"

static struct http_response *response_of(http_response_parser *parser) {
    return parser->data;
}

static int on_body(http_response_parser *parser, const char *bytes, size_t n) {
    return buffer_append(&response_of(parser)->body, bytes, n) ? 0 : 1;
}

#ifdef HAVE_LLHTTP
static int keeps_alive(http_response_parser *parser) {
    return llhttp_should_keep_alive(parser);
}
#else
static int keeps_alive(http_response_parser *parser) {
    return http_should_keep_alive(parser);
}
#endif

static int on_begin(http_response_parser *parser) {
    return response_of(parser)->complete ? 1 : 0;
}

static int on_head(http_response_parser *parser) {
    if (parser->status_code >= 200) {
        response_of(parser)->status = parser->status_code;
    }
    return 0;
}

static int on_complete(http_response_parser *parser) {
    struct http_response *r = response_of(parser);
    if (parser->status_code >= 200) {
        r->keep_alive = keeps_alive(parser) != 0;
        r->complete = true;
    } else {
        r->body.len = 0;
    }
    return 0;
}

#ifdef HAVE_LLHTTP
static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

static void start(struct http_response *r) {
    llhttp_init(&r->parser, HTTP_RESPONSE, &settings);
}

static bool execute(struct http_response *r, const char *bytes, size_t n) {
    return llhttp_execute(&r->parser, bytes, n) == HPE_OK;
}

static bool finish(struct http_response *r) {
    return llhttp_finish(&r->parser) == HPE_OK;
}
#else
static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

static void start(struct http_response *r) {
    http_parser_init(&r->parser, HTTP_RESPONSE);
}

static bool execute(struct http_response *r, const char *bytes, size_t n) {
    return http_parser_execute(&r->parser, &settings, bytes, n) == n && !r->parser.upgrade &&
           HTTP_PARSER_ERRNO(&r->parser) == HPE_OK;
}

static bool finish(struct http_response *r) {
    return http_parser_execute(&r->parser, &settings, NULL, 0) == 0 &&
           HTTP_PARSER_ERRNO(&r->parser) == HPE_OK;
}
#endif

void http_response_init(struct http_response *r) {
    *r = (struct http_response){0};
    buffer_init(&r->body, HTTP_RESPONSE_BODY_MAX);
    http_response_reset(r);
}

void http_response_reset(struct http_response *r) {
    r->body.len = 0;
    r->total = 0;
    r->status = 0;
    r->complete = r->keep_alive = false;
    start(r);
    r->parser.data = r;
}

void http_response_free(struct http_response *r) {
    buffer_free(&r->body);
}

enum http_progress http_response_feed(struct http_response *r, const char *bytes, size_t n) {
    if (n == 0) {
        return r->complete ? HTTP_COMPLETE : HTTP_MORE; /* to the parsers 0 bytes mean the end */
    }
    if (r->complete || n > HTTP_RESPONSE_MAX - r->total) {
        return HTTP_MALFORMED;
    }
    r->total += n;
    if (!execute(r, bytes, n)) {
        return HTTP_MALFORMED;
    }
    return r->complete ? HTTP_COMPLETE : HTTP_MORE;
}

void http_response_taken(struct http_response *r) {
    r->body.len = 0;
    r->total = 0;
}

enum http_progress http_response_finish(struct http_response *r) {
    if (r->complete) {
        return HTTP_COMPLETE;
    }
    return finish(r) && r->complete ? HTTP_COMPLETE : HTTP_MALFORMED;
}
