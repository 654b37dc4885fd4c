/* A commit's tree, entry by entry. */
#include <git2.h>
#include <stdio.h>

#include "git/within.h"

enum { MAX_PATH = 4096 };

struct walk {
    git_repository *git;
    git_odb *odb;
    const struct repository_limits *limits;
    repository_each_entry *each;
    void *ctx;
    struct repository_error *error;
    uint64_t bytes;
    size_t entries;
    char path[MAX_PATH];
};

static bool walk_tree(struct walk *w, const git_oid *id, size_t path_len, size_t depth);

static bool measure(struct walk *w, const git_oid *id, struct repository_entry *out) {
    size_t size = 0;
    git_object_t type;
    int rc = git_odb_read_header(&size, &type, w->odb, id);
    if (rc < 0) {
        return repository_fail_git(NULL, rc, w->error);
    }
    out->size = size;
    w->bytes += size;
    return w->bytes <= w->limits->max_bytes ||
           repository_fail(w->error, "too_big",
                           "its files are larger than the %llu bytes that agent.gitmaxsize allows",
                           (unsigned long long)w->limits->max_bytes);
}

static bool walk_entry(struct walk *w, const git_tree_entry *entry, size_t path_len, size_t depth) {
    const char *name = git_tree_entry_name(entry);
    const git_oid *id = git_tree_entry_id(entry);
    struct repository_entry out = {.path = w->path, .mode = git_tree_entry_filemode_raw(entry)};
    int len =
        snprintf(w->path + path_len, sizeof w->path - path_len, "%s%s", path_len ? "/" : "", name);
    if (len < 0 || (size_t)len >= sizeof w->path - path_len) {
        return repository_fail(w->error, "bad_tree", "a path is longer than %d bytes", MAX_PATH);
    }
    if (++w->entries > w->limits->max_entries) {
        return repository_fail(w->error, "too_big",
                               "it has more than the %zu files that agent.gitmaxfiles allows",
                               w->limits->max_entries);
    }
    git_oid_tostr(out.id, sizeof out.id, id);
    git_object_t type = git_tree_entry_type(entry);
    if (type == GIT_OBJECT_BLOB && !measure(w, id, &out)) {
        return false;
    }
    w->each(w->ctx, &out);
    return type != GIT_OBJECT_TREE || walk_tree(w, id, path_len + (size_t)len, depth + 1);
}

static bool walk_tree(struct walk *w, const git_oid *id, size_t path_len, size_t depth) {
    git_tree *tree = NULL;
    if (depth > w->limits->max_depth) {
        return repository_fail(w->error, "bad_tree", "its directories are deeper than %zu",
                               w->limits->max_depth);
    }
    int rc = git_tree_lookup(&tree, w->git, id);
    if (rc < 0) {
        return repository_fail_git(NULL, rc, w->error);
    }
    bool ok = true;
    size_t count = git_tree_entrycount(tree);
    for (size_t i = 0; i < count && ok; i++) {
        ok = walk_entry(w, git_tree_entry_byindex(tree, i), path_len, depth);
    }
    git_tree_free(tree);
    return ok;
}

bool repository_walk(struct repository *r, const char *commit,
                     const struct repository_limits *limits, repository_each_entry *each, void *ctx,
                     struct repository_error *error) {
    struct walk w = {.git = r->git, .limits = limits, .each = each, .ctx = ctx, .error = error};
    git_commit *found = NULL;
    git_oid id;
    int rc = git_oid_fromstr(&id, commit);
    if (rc == 0) {
        rc = git_commit_lookup(&found, r->git, &id);
    }
    if (rc == 0) {
        rc = git_repository_odb(&w.odb, r->git);
    }
    bool ok = rc == 0 ? walk_tree(&w, git_commit_tree_id(found), 0, 0)
                      : repository_fail_git(NULL, rc, error);
    git_odb_free(w.odb);
    git_commit_free(found);
    return ok;
}
