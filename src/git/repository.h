/* A bare repository and what is fetched into it, with libgit2. Blocks; only for workers. Knows no
 * Lua.
 *
 * Nothing of the machine's git configuration is read, no hook, filter or submodule is known here:
 * objects come in, and are read back one by one. */
#ifndef AGENT_GIT_REPOSITORY_H
#define AGENT_GIT_REPOSITORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPOSITORY_ID = 41 }; /* 40 hexadecimal digits and their end */

/* `code` is a constant: auth, certificate, host_key, too_big, not_found, bad_tree or failed. */
struct repository_error {
    const char *code;
    char why[256];
};

/* How libgit2 works in this process. Strings may be NULL. */
struct repository_setup {
    const char *home;    /* its .ssh/known_hosts is the one that host keys are checked against */
    const char *ca_file; /* PEM */
    const char *ca_dir;
};

struct repository_remote {
    const char *url;
    const char *user;     /* NULL: the URL's */
    const char *password; /* for https; NULL: none, or the URL's */
    const char *key;      /* file of a private ssh key, or NULL */
    uint64_t max_bytes;   /* that may be received in all */
};

struct repository_entry {
    const char *path; /* below the root, with slashes; good during the call */
    unsigned mode;    /* as git has it: 0100644, 0100755, 0120000, 040000, 0160000 */
    char id[REPOSITORY_ID];
    uint64_t size; /* of a file or link, else 0 */
};

struct repository;

/* Once in a process. */
bool repository_init(const struct repository_setup *setup, struct repository_error *error);

/* Makes a bare repository in a directory that is not there yet. NULL: see *error. */
struct repository *repository_create(const char *path, struct repository_error *error);
void repository_free(struct repository *r);

/* Connects; the strings are copied. */
bool repository_connect(struct repository *r, const struct repository_remote *remote,
                        struct repository_error *error);

/* Calls `each` for what the remote has: name, id, and the name that a symbolic one stands for, or
 * NULL. */
typedef void repository_each_ref(void *ctx, const char *name, const char *id, const char *target);
bool repository_refs(struct repository *r, repository_each_ref *each, void *ctx,
                     struct repository_error *error);

/* Fetches what `count` refspecs say; shallow: without history, where libgit2 and the transport can.
 */
bool repository_fetch(struct repository *r, char *const *refspecs, size_t count, bool shallow,
                      struct repository_error *error);

/* The commit that a name or (shortened) id stands for, tags opened. */
bool repository_commit(struct repository *r, const char *name, char id[REPOSITORY_ID],
                       struct repository_error *error);

struct repository_limits {
    uint64_t max_bytes; /* of all files together */
    size_t max_entries;
    size_t max_depth;
};

/* Calls `each` for everything in a commit's tree, a directory before what is in it. */
typedef void repository_each_entry(void *ctx, const struct repository_entry *entry);
bool repository_walk(struct repository *r, const char *commit,
                     const struct repository_limits *limits, repository_each_entry *each, void *ctx,
                     struct repository_error *error);

/* Calls `take` with the bytes of a file or link. */
typedef bool repository_take(void *ctx, const void *bytes, size_t len);
bool repository_blob(struct repository *r, const char *id, repository_take *take, void *ctx,
                     struct repository_error *error);

/* The commit that is checked out in the directory `path`, which somebody else's git made. */
bool repository_head(const char *path, char id[REPOSITORY_ID], struct repository_error *error);

#endif
