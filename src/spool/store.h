/* The directory of a spool: PATH/new holds its files, PATH/tmp those that are being written,
 * PATH/bad what can't be read; PATH/lock keeps two agents apart. Everything here blocks, on a dead
 * disk for ever: for a thread of its own. Functions return 0 or an errno. */
#ifndef AGENT_SPOOL_STORE_H
#define AGENT_SPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buffer.h"

enum { STORE_NAME = 64, STORE_FILES_MAX = 16384 };

/* Numbers and times in names are below. */
#define STORE_NUMBER_END 1000000000000LL

struct store {
    char *path; /* owned */
    int lock;   /* -1: not ours */
};

/* A file is NUMBER-TIME.spool: they are read in the order of their numbers. */
struct store_file {
    uint64_t number;
    int64_t created; /* unix seconds, from the name */
    int64_t modified;
    uint64_t size;
};

struct store_listing {
    struct store_file *files; /* owned; by number */
    size_t count;
    bool more;         /* there are more than STORE_FILES_MAX */
    uint64_t bad;      /* files in bad/, with those that were put there just now */
    uint64_t put_away; /* those */
};

/* false: no memory. */
bool store_init(struct store *s, const char *path);
void store_free(struct store *s);

/* Takes the lock, making the directories where they are missing, and removes what an unfinished
 * write left. EBUSY: *holder has the lock (0: unknown). Again at any time: does what is missing. */
int store_open(struct store *s, pid_t *holder);

/* Lets go of the lock. Its file stays: unlinking it could take it from under the next holder. */
void store_close(struct store *s);

/* Lists the files; `tidy` puts away into bad/ what isn't one of ours by name and kind. */
int store_list(struct store *s, bool tidy, struct store_listing *listing);
void store_listing_free(struct store_listing *listing);

/* "NUMBER-TIME.spool" and back. false: not such a name. */
void store_name(char name[STORE_NAME], uint64_t number, int64_t created);
bool store_parse_name(const char *name, uint64_t *number, int64_t *created);

/* Writes records (as of segment_add(), not sealed yet) so that they survive a loss of power: offset
 * 0 makes the file, else they are appended to it there. ESTALE: the file doesn't end at offset;
 * take another. */
int store_commit(struct store *s, const char *name, uint64_t offset, struct buffer *records);

/* Reads a whole file; EBADMSG: not one of ours, EPROTO: of another version of the format. */
int store_read(struct store *s, const char *name, struct buffer *bytes);

/* Unlinks a file; no error when it isn't there. */
int store_remove(struct store *s, const char *name);

/* Moves a file from new/ to bad/. */
int store_put_away(struct store *s, const char *name);

#endif
