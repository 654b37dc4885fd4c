#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http/connection.h"
#include "util/clock.h"

enum { NS_PER_S = 1000000000 };

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {406, "Not Acceptable"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Other";
}

uint64_t http_answer_second(struct http_server *s) {
    uint64_t turn = uv_now(s->clock.loop);
    if (turn != s->second_at || !s->second) {
        s->second_at = turn;
        s->second = (uint64_t)clock_wall_ns() / NS_PER_S;
    }
    return s->second;
}

static const char *date_now(struct http_server *s) {
    time_t now = (time_t)http_answer_second(s);
    if (now != s->date_of) {
        struct tm t;
        gmtime_r(&now, &t);
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &t);
        s->date_of = now;
    }
    return s->date;
}

bool http_answer_head(struct http_server *s, int status, bool keep_alive, int minor,
                      const char *headers, size_t headers_len, size_t length) {
    char line[256];
    char extent[48] = "";
    const char *fate = "";
    if (!keep_alive) {
        fate = "Connection: close\r\n";
    } else if (minor == 0) {
        fate = "Connection: keep-alive\r\n";
    }
    if (length == HTTP_LENGTH_CHUNKED) {
        snprintf(extent, sizeof extent, "Transfer-Encoding: chunked\r\n");
    } else if (length != HTTP_LENGTH_UNKNOWN) {
        snprintf(extent, sizeof extent, "Content-Length: %zu\r\n", length);
    }
    int n = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s", status,
                     reason_of(status), date_now(s), extent, fate);
    s->headers.len = 0;
    return n > 0 && buffer_append(&s->headers, line, (size_t)n) &&
           buffer_append(&s->headers, headers, headers_len) &&
           buffer_append(&s->headers, "\r\n", 2);
}
