#include "git/repository.h"

#include <git2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "git/within.h"

#define AT_LEAST(major, minor)                                                                     \
    (LIBGIT2_VER_MAJOR > (major) || (LIBGIT2_VER_MAJOR == (major) && LIBGIT2_VER_MINOR >= (minor)))

enum {
    MAX_OBJECTS = 1000000,     /* of one pack */
    MAX_CHATTER = 1024 * 1024, /* bytes of progress messages */
    WINDOW = 8 * 1024 * 1024,  /* of a pack that is mapped at a time */
    MAPPED = 64 * 1024 * 1024, /* in all: a worker's address space is limited */
    CACHE = 16 * 1024 * 1024
};

bool repository_fail(struct repository_error *error, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error->code = code;
    vsnprintf(error->why, sizeof error->why, format, args);
    va_end(args);
    return false;
}

static const char *code_of(int rc, int klass) {
    switch (rc) {
    case GIT_EAUTH:
        return "auth";
    case GIT_ECERTIFICATE:
        return "certificate";
    case GIT_ENOTFOUND:
    case GIT_EAMBIGUOUS:
        return "not_found";
    default:
        return klass == GIT_ERROR_SSL ? "certificate" : "failed";
    }
}

/* What libgit2 says of its last failure; a callback of ours knows better. */
bool repository_fail_git(const struct repository *r, int rc, struct repository_error *error) {
    if (r && r->stop) {
        return repository_fail(error, r->stop, "%s", r->why);
    }
    const git_error *last = git_error_last();
    int klass = last ? last->klass : GIT_ERROR_NONE;
    if (klass == GIT_ERROR_NOMEMORY) {
        return repository_fail(error, "too_big", "it takes more memory than a git worker may have");
    }
    return repository_fail(error, code_of(rc, klass), "%s",
                           last && last->message ? last->message : "libgit2 doesn't say why");
}

static int stop(struct repository *r, const char *code, int rc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int stop(struct repository *r, const char *code, int rc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    r->stop = code;
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    return rc;
}

/* The directory `home` holds no git configuration: it is also where .ssh/known_hosts is looked for.
 */
static int set_paths(const char *home) {
    int rc = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_SYSTEM, "");
    rc |= git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, "");
    rc |= git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_PROGRAMDATA, "");
    rc |= git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, home ? home : "");
    rc |= git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "");
#if AT_LEAST(1, 7)
    rc |= git_libgit2_opts(GIT_OPT_SET_HOMEDIR, home ? home : "");
#endif
    return rc;
}

bool repository_init(const struct repository_setup *setup, struct repository_error *error) {
    int major = 0, minor = 0, patch = 0;
    int rc = git_libgit2_init();
    if (rc < 0) {
        return repository_fail_git(NULL, rc, error);
    }
    git_libgit2_version(&major, &minor, &patch);
    if (major * 10000 + minor * 100 + patch < 10501) {
        return repository_fail(error, "failed", "libgit2 %d.%d.%d checks no host keys; 1.5.1 does",
                               major, minor, patch);
    }
    rc = set_paths(setup->home);
    rc |= git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)WINDOW);
    rc |= git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)MAPPED);
    rc |= git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)CACHE);
    rc |= git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)MAX_OBJECTS);
    rc |= git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 1);
    if (rc == 0 && (setup->ca_file || setup->ca_dir)) {
        rc = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, setup->ca_file, setup->ca_dir);
    }
    return rc == 0 || repository_fail_git(NULL, rc, error);
}

struct repository *repository_create(const char *path, struct repository_error *error) {
    git_repository_init_options options;
    git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags =
        GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKDIR;
    struct repository *r = calloc(1, sizeof *r);
    if (!r) {
        repository_fail(error, "failed", "out of memory");
        return NULL;
    }
    int rc = git_repository_init_ext(&r->git, path, &options);
    if (rc < 0) {
        repository_fail_git(NULL, rc, error);
        repository_free(r);
        return NULL;
    }
    return r;
}

static void forget_remote(struct repository *r) {
    git_remote_free(r->remote);
    free(r->user);
    free(r->password);
    free(r->key);
    r->remote = NULL;
    r->user = r->password = r->key = NULL;
}

void repository_free(struct repository *r) {
    if (r) {
        forget_remote(r);
        git_repository_free(r->git);
        free(r);
    }
}

/* Whatever is shown once and not taken is not shown again: there is nothing else to show. */
static int on_credentials(git_credential **out, const char *url, const char *from_url,
                          unsigned types, void *ctx) {
    struct repository *r = ctx;
    const char *user = r->user ? r->user : from_url ? from_url : "git";
    (void)url;
    if (types & GIT_CREDENTIAL_USERNAME) {
        return git_credential_username_new(out, user);
    }
    if (r->asked) {
        return stop(r, "auth", GIT_EAUTH, "the server doesn't take our credentials");
    }
    r->asked = true;
    if (types & GIT_CREDENTIAL_SSH_KEY && r->key) {
        return git_credential_ssh_key_new(out, user, NULL, r->key, NULL);
    }
    if (types & GIT_CREDENTIAL_USERPASS_PLAINTEXT && r->password) {
        return git_credential_userpass_plaintext_new(out, user, r->password);
    }
    return stop(r, "auth", GIT_EAUTH,
                "the server wants credentials, and none are configured for it");
}

static int on_certificate(git_cert *cert, int valid, const char *host, void *ctx) {
    if (valid) {
        return 0;
    }
    if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2) {
        return stop(ctx, "host_key", GIT_ECERTIFICATE,
                    "the host key of %.100s is not in agent.gitknownhosts", host);
    }
    return stop(ctx, "certificate", GIT_ECERTIFICATE,
                "the certificate of %.100s is not to be trusted", host);
}

static int on_transfer(const git_indexer_progress *stats, void *ctx) {
    struct repository *r = ctx;
    if (stats->received_bytes > r->max_bytes) {
        return stop(r, "too_big", GIT_EUSER,
                    "it sends more than the %llu bytes that agent.gitmaxsize allows",
                    (unsigned long long)r->max_bytes);
    }
    return 0;
}

static int on_chatter(const char *text, int len, void *ctx) {
    struct repository *r = ctx;
    (void)text;
    r->chatter += len > 0 ? (uint64_t)len : 0;
    return r->chatter <= MAX_CHATTER ? 0 : stop(r, "too_big", GIT_EUSER, "it talks for ever");
}

static void set_callbacks(struct repository *r, git_remote_callbacks *callbacks) {
    callbacks->credentials = on_credentials;
    callbacks->certificate_check = on_certificate;
    callbacks->transfer_progress = on_transfer;
    callbacks->sideband_progress = on_chatter;
    callbacks->payload = r;
}

static bool copy(char **to, const char *from) {
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

bool repository_connect(struct repository *r, const struct repository_remote *remote,
                        struct repository_error *error) {
    git_remote_connect_options options;
    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    forget_remote(r);
    r->asked = false;
    r->stop = NULL;
    r->chatter = 0;
    r->max_bytes = remote->max_bytes;
    if (!copy(&r->user, remote->user) || !copy(&r->password, remote->password) ||
        !copy(&r->key, remote->key)) {
        return repository_fail(error, "failed", "out of memory");
    }
    set_callbacks(r, &options.callbacks);
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.proxy_opts.type = GIT_PROXY_AUTO;
    int rc = git_remote_create_anonymous(&r->remote, r->git, remote->url);
    if (rc == 0) {
        rc = git_remote_connect_ext(r->remote, GIT_DIRECTION_FETCH, &options);
    }
    return rc == 0 || repository_fail_git(r, rc, error);
}

bool repository_refs(struct repository *r, repository_each_ref *each, void *ctx,
                     struct repository_error *error) {
    const git_remote_head **heads = NULL;
    size_t count = 0;
    int rc = git_remote_ls(&heads, &count, r->remote);
    if (rc < 0) {
        return repository_fail_git(r, rc, error);
    }
    for (size_t i = 0; i < count; i++) {
        char id[REPOSITORY_ID];
        git_oid_tostr(id, sizeof id, &heads[i]->oid);
        each(ctx, heads[i]->name, id, heads[i]->symref_target);
    }
    return true;
}

bool repository_fetch(struct repository *r, char *const *refspecs, size_t count, bool shallow,
                      struct repository_error *error) {
    git_fetch_options options;
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    git_strarray list = {(char **)refspecs, count};
    set_callbacks(r, &options.callbacks);
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.proxy_opts.type = GIT_PROXY_AUTO;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
#if AT_LEAST(1, 7)
    options.depth = shallow ? 1 : 0;
#else
    (void)shallow;
#endif
    int rc = git_remote_fetch(r->remote, &list, &options, NULL);
    return rc == 0 || repository_fail_git(r, rc, error);
}

bool repository_commit(struct repository *r, const char *name, char id[REPOSITORY_ID],
                       struct repository_error *error) {
    git_object *found = NULL, *commit = NULL;
    int rc = git_revparse_single(&found, r->git, name);
    if (rc == 0) {
        rc = git_object_peel(&commit, found, GIT_OBJECT_COMMIT);
    }
    if (rc == 0) {
        git_oid_tostr(id, REPOSITORY_ID, git_object_id(commit));
    } else {
        repository_fail_git(NULL, rc, error);
    }
    git_object_free(commit);
    git_object_free(found);
    return rc == 0;
}

bool repository_blob(struct repository *r, const char *id, repository_take *take, void *ctx,
                     struct repository_error *error) {
    git_blob *blob = NULL;
    git_oid oid;
    int rc = git_oid_fromstr(&oid, id);
    if (rc == 0) {
        rc = git_blob_lookup(&blob, r->git, &oid);
    }
    if (rc < 0) {
        return repository_fail_git(NULL, rc, error);
    }
    bool ok = take(ctx, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    git_blob_free(blob);
    return ok || repository_fail(error, "failed", "cannot write a file");
}

bool repository_head(const char *path, char id[REPOSITORY_ID], struct repository_error *error) {
    git_repository *git = NULL;
    git_oid oid;
    int rc = git_repository_open_ext(&git, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == 0) {
        rc = git_reference_name_to_id(&oid, git, "HEAD");
    }
    if (rc == 0) {
        git_oid_tostr(id, REPOSITORY_ID, &oid);
    } else {
        repository_fail_git(NULL, rc, error);
    }
    git_repository_free(git);
    return rc == 0;
}
