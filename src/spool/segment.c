#include "spool/segment.h"

#include <string.h>

#include "util/hash.h"

enum { RECORD_HEAD = 8, LENGTHS = 4, SUMMED = 12 };

static const char magic[8] = "agspool";

static void put_u32(char *to, uint32_t n) {
    for (int i = 0; i < 4; i++) {
        to[i] = (char)(n >> (8 * i) & 0xff);
    }
}

static uint32_t get_u32(const char *from) {
    const unsigned char *p = (const unsigned char *)from;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_u16(char *to, size_t n) {
    to[0] = (char)(n & 0xff);
    to[1] = (char)(n >> 8 & 0xff);
}

static size_t get_u16(const char *from) {
    const unsigned char *p = (const unsigned char *)from;
    return (size_t)p[0] | (size_t)p[1] << 8;
}

/* The length is part of what is summed up: else a record could end early at zeros. */
static uint32_t checksum(const char *payload, uint32_t len) {
    return hash_of(payload, len) ^ len * 2654435769U;
}

void segment_head(char head[SEGMENT_HEAD]) {
    memcpy(head, magic, sizeof magic);
    put_u32(head + sizeof magic, SEGMENT_VERSION);
    put_u32(head + SUMMED, hash_of(head, SUMMED));
}

static void append(struct buffer *b, struct segment_text text) {
    if (text.len) {
        memcpy(b->data + b->len, text.bytes, text.len);
    }
    b->len += text.len;
}

bool segment_add(struct buffer *records, const struct segment_record *record) {
    if (record->topic.len > UINT16_MAX || record->head.len > UINT16_MAX ||
        record->body.len > SEGMENT_PAYLOAD_MAX) {
        return false;
    }
    size_t len = LENGTHS + record->topic.len + record->head.len + record->body.len;
    if (len > SEGMENT_PAYLOAD_MAX || !buffer_reserve(records, RECORD_HEAD + len)) {
        return false;
    }
    char *to = records->data + records->len;
    put_u32(to, (uint32_t)len);
    put_u32(to + 4, 0);
    put_u16(to + RECORD_HEAD, record->topic.len);
    put_u16(to + RECORD_HEAD + 2, record->head.len);
    records->len += RECORD_HEAD + LENGTHS;
    append(records, record->topic);
    append(records, record->head);
    append(records, record->body);
    return true;
}

void segment_seal(char *records, size_t len) {
    for (size_t at = 0; at < len;) {
        uint32_t n = get_u32(records + at);
        put_u32(records + at + 4, checksum(records + at + RECORD_HEAD, n));
        at += RECORD_HEAD + n;
    }
}

enum segment_verdict segment_check(const char *bytes, size_t len) {
    if (len < SEGMENT_HEAD || memcmp(bytes, magic, sizeof magic) != 0 ||
        get_u32(bytes + SUMMED) != hash_of(bytes, SUMMED)) {
        return SEGMENT_FOREIGN;
    }
    return get_u32(bytes + sizeof magic) == SEGMENT_VERSION ? SEGMENT_OURS : SEGMENT_OTHER_VERSION;
}

enum segment_event segment_next(const char *bytes, size_t len, size_t *at,
                                struct segment_record *record) {
    if (*at >= len) {
        return SEGMENT_END;
    }
    const char *from = bytes + *at;
    size_t left = len - *at;
    if (left < RECORD_HEAD + LENGTHS) {
        return SEGMENT_TORN;
    }
    uint32_t n = get_u32(from);
    if (n < LENGTHS || n > SEGMENT_PAYLOAD_MAX || n > left - RECORD_HEAD ||
        get_u32(from + 4) != checksum(from + RECORD_HEAD, n)) {
        return SEGMENT_TORN;
    }
    const char *payload = from + RECORD_HEAD;
    size_t topic = get_u16(payload);
    size_t head = get_u16(payload + 2);
    if (topic + head > n - LENGTHS) {
        return SEGMENT_TORN;
    }
    record->topic = (struct segment_text){payload + LENGTHS, topic};
    record->head = (struct segment_text){payload + LENGTHS + topic, head};
    record->body =
        (struct segment_text){payload + LENGTHS + topic + head, n - LENGTHS - topic - head};
    *at += RECORD_HEAD + n;
    return SEGMENT_RECORD;
}
