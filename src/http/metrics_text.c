/* What a JSON string says. */
#include <string.h>

#include "http/metrics.h"

enum { REPLACEMENT = 0xfffd };

static unsigned hex4(const char *bytes) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = bytes[i];
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* Two escapes of six bytes may be one character outside the first plane; half a pair is replaced.
 */
static unsigned code_point(const char **from, const char *end) {
    unsigned high = hex4(*from + 2);
    *from += 6;
    if (high < 0xd800 || high > 0xdfff) {
        return high;
    }
    if (high > 0xdbff || end - *from < 6 || (*from)[0] != '\\' || (*from)[1] != 'u') {
        return REPLACEMENT;
    }
    unsigned low = hex4(*from + 2);
    if (low < 0xdc00 || low > 0xdfff) {
        return REPLACEMENT;
    }
    *from += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

size_t metrics_unescape(struct metrics_text text, char *to) {
    if (!text.escaped) {
        memcpy(to, text.bytes, text.len);
        return text.len;
    }
    char *begin = to;
    const char *end = text.bytes + text.len;
    for (const char *c = text.bytes; c < end;) {
        if (*c != '\\') {
            *to++ = *c++;
        } else if (c[1] == 'u') {
            to = put_utf8(to, code_point(&c, end));
        } else {
            static const char names[] = "bfnrt";
            static const char values[] = "\b\f\n\r\t";
            const char *named = strchr(names, c[1]);
            *to++ = named ? values[named - names] : c[1];
            c += 2;
        }
    }
    return (size_t)(to - begin);
}

bool metrics_name_valid(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return true;
}
