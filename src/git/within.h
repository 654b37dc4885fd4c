/* What the sources of this folder know of a repository, and nobody else. */
#ifndef AGENT_GIT_WITHIN_H
#define AGENT_GIT_WITHIN_H

#include <git2.h>

#include "git/repository.h"

struct repository {
    git_repository *git;
    git_remote *remote;
    char *user;
    char *password;
    char *key;
    uint64_t max_bytes;
    uint64_t chatter;
    bool asked;       /* for credentials, once */
    const char *stop; /* why a callback of ours ended it: a code */
    char why[200];    /* and a sentence */
};

/* Both return false. */
bool repository_fail(struct repository_error *error, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* With what libgit2 says of its last failure; a callback of ours (r may be NULL) knows better. */
bool repository_fail_git(const struct repository *r, int rc, struct repository_error *error);

#endif
