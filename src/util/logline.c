#include "util/logline.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {"FATAL", "ERROR", "WARNING", "INFO", "DEBUG"};
static const char cut_mark[] = "\xe2\x80\xa6";

/* Writes whole pieces or nothing: once one does not fit, the line is cut there. */
struct writer {
    char *out;
    size_t len, size;
    bool cut;
};

static void put(struct writer *w, const char *bytes, size_t n) {
    if (w->cut || n > w->size - w->len) {
        w->cut = true;
        return;
    }
    memcpy(w->out + w->len, bytes, n);
    w->len += n;
}

static void put_string(struct writer *w, const char *s) {
    put(w, s, strlen(s));
}

/* Bytes of the well-formed UTF-8 character at s (RFC 3629), 0 when there is none or it is a control
 * character of the C1 set, which a terminal would obey. */
static size_t utf8_length(const unsigned char *s, size_t n) {
    size_t need = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                  : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                  : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                 : 0;
    if (!need || need > n) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
    bool control = s[0] == 0xc2 && s[1] < 0xa0;
    return overlong || surrogate || too_high || control ? 0 : need;
}

static void put_escape(struct writer *w, unsigned char c, enum log_format format) {
    char hex[8];
    const char *short_form = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
    if (short_form) {
        put(w, short_form, 2);
    } else if (format == LOG_JSON && c >= 0x80) {
        put_string(w, "\\ufffd");
    } else {
        snprintf(hex, sizeof hex, format == LOG_JSON ? "\\u%04x" : "\\x%02x", c);
        put_string(w, hex);
    }
}

/* quoted: inside "…", where quote and backslash are escaped too. */
static void put_text(struct writer *w, struct log_text text, enum log_format format, bool quoted) {
    for (size_t i = 0; i < text.len && !w->cut;) {
        const unsigned char *s = (const unsigned char *)text.bytes + i;
        size_t n = s[0] < 0x80 ? 1 : utf8_length(s, text.len - i);
        if (n == 0 || s[0] < 0x20 || s[0] == 0x7f) {
            put_escape(w, s[0], format);
            n = 1;
        } else if (quoted && (s[0] == '"' || s[0] == '\\')) {
            char pair[2] = {'\\', (char)s[0]};
            put(w, pair, 2);
        } else {
            put(w, (const char *)s, n);
        }
        i += n;
    }
}

static bool needs_quotes(struct log_text text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) {
            return true;
        }
    }
    return text.len == 0;
}

/* A key keeps letters, digits and `_.-`; anything else would break the line apart. */
static void put_key(struct writer *w, struct log_text key) {
    for (size_t i = 0; i < key.len && i < 64; i++) {
        char c = key.bytes[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '.' || c == '-';
        put(w, plain ? &c : "_", 1);
    }
}

static void text_body(struct writer *w, const struct log_record *r) {
    put_string(w, names[r->level]);
    put(w, " ", 1);
    put_text(w, r->part, LOG_TEXT, false);
    put(w, ": ", 2);
    put_text(w, r->message, LOG_TEXT, false);
    for (size_t i = 0; i < r->count; i++) {
        put(w, " ", 1);
        put_key(w, r->fields[i].key);
        put(w, "=", 1);
        bool quoted = needs_quotes(r->fields[i].value);
        put(w, "\"", quoted);
        put_text(w, r->fields[i].value, LOG_TEXT, quoted);
        put(w, "\"", quoted);
    }
}

static void put_json_string(struct writer *w, struct log_text text) {
    put(w, "\"", 1);
    put_text(w, text, LOG_JSON, true);
    put(w, "\"", 1);
}

static bool is_reserved(struct log_text key) {
    static const char *const reserved[] = {"time", "level", "part", "message"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (key.len == strlen(reserved[i]) && memcmp(key.bytes, reserved[i], key.len) == 0) {
            return true;
        }
    }
    return false;
}

static void json_field(struct writer *w, const struct log_field *f) {
    put_string(w, is_reserved(f->key) ? ",\"field_" : ",\"");
    put_key(w, f->key);
    put(w, "\":", 2);
    if (f->number) {
        put(w, f->value.bytes, f->value.len);
    } else {
        put_json_string(w, f->value);
    }
}

/* A cut JSON line must still parse: a field goes in whole or not at all, and a message that is too
 * long is cut inside its string. */
static void json_body(struct writer *w, const struct log_record *r) {
    size_t room = w->size;
    w->size -= 8; /* for the mark, the quote and the brace */
    put_string(w, "\"level\":\"");
    put_string(w, names[r->level]);
    put_string(w, "\",\"part\":");
    put_json_string(w, (struct log_text){r->part.bytes, r->part.len < 64 ? r->part.len : 64});
    put_string(w, ",\"message\":\"");
    put_text(w, r->message, LOG_JSON, true);
    bool cut = w->cut;
    w->size = room;
    w->cut = false;
    put_string(w, cut ? cut_mark : "");
    put(w, "\"", 1);
    w->size -= 1;
    for (size_t i = 0; i < r->count && !cut; i++) {
        size_t before = w->len;
        json_field(w, &r->fields[i]);
        if (w->cut) {
            w->len = before;
            break;
        }
    }
    w->size = room;
    w->cut = false;
    put(w, "}", 1);
}

size_t logline_body(enum log_format format, const struct log_record *record, char *out,
                    size_t size) {
    struct writer w = {.out = out, .size = size};
    if (format == LOG_JSON) {
        json_body(&w, record);
        return w.len;
    }
    w.size -= sizeof cut_mark - 1;
    text_body(&w, record);
    w.size = size;
    if (w.cut) {
        w.cut = false;
        put_string(&w, cut_mark);
    }
    return w.len;
}

size_t logline_head(enum log_format format, int64_t wall_ns, char *out, size_t size) {
    time_t seconds = (time_t)(wall_ns / 1000000000);
    int micros = (int)(wall_ns % 1000000000 / 1000);
    struct tm t;
    localtime_r(&seconds, &t);
    char date[32];
    char zone[16] = "";
    if (format == LOG_TEXT) {
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &t);
        return (size_t)snprintf(out, size, "%s.%06d ", date, micros);
    }
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &t);
    strftime(zone, sizeof zone, "%z", &t);
    return (size_t)snprintf(out, size, "{\"time\":\"%s.%06d%.3s:%s\",", date, micros, zone,
                            zone + 3);
}
