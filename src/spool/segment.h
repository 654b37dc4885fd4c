/* The format of a spool file: a head of 16 bytes (magic, version, checksum), then records. A record
 * is u32 length and u32 checksum of its payload, which is u16 length of the topic, u16 length of
 * the message's head, topic, head, body; all numbers little endian. Records are appended; what is
 * torn ends the file, what stands before it holds. */
#ifndef AGENT_SPOOL_SEGMENT_H
#define AGENT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_HEAD = 16,
    SEGMENT_PAYLOAD_MAX = 4 * 1024 * 1024, /* of one record */
    SEGMENT_MAX = 16 * 1024 * 1024         /* of a file; a larger one is not ours */
};

struct segment_text {
    const char *bytes;
    size_t len;
};

struct segment_record {
    struct segment_text topic;
    struct segment_text head;
    struct segment_text body;
};

enum segment_verdict { SEGMENT_OURS, SEGMENT_FOREIGN, SEGMENT_OTHER_VERSION };
enum segment_event { SEGMENT_RECORD, SEGMENT_END, SEGMENT_TORN };

/* Writes the head that a file begins with. */
void segment_head(char head[SEGMENT_HEAD]);

/* Appends a record, still without its checksum. false: too large, or no memory; nothing is
 * appended.
 */
bool segment_add(struct buffer *records, const struct segment_record *record);

/* Fills in the checksums of the records that segment_add() made. */
void segment_seal(char *records, size_t len);

/* Whether a file begins with our head. */
enum segment_verdict segment_check(const char *bytes, size_t len);

/* The record at *at, which begins as SEGMENT_HEAD and is moved behind it; the texts are in `bytes`.
 * After END or TORN always the same again. */
enum segment_event segment_next(const char *bytes, size_t len, size_t *at,
                                struct segment_record *record);

#endif
