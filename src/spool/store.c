#include "spool/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/segment.h"
#include "util/parents.h"
#include "util/pidfile.h"

enum { DIRECTORY_MODE = 0700, FILE_MODE = 0600, BAD_MAX = 100 };

bool store_init(struct store *s, const char *path) {
    *s = (struct store){.path = strdup(path), .lock = -1};
    return s->path != NULL;
}

void store_close(struct store *s) {
    if (s->lock >= 0) {
        close(s->lock);
    }
    s->lock = -1;
}

void store_free(struct store *s) {
    store_close(s);
    free(s->path);
    s->path = NULL;
}

/* false: longer than a path can be. */
static bool path_of(const struct store *s, char path[PATH_MAX], const char *part,
                    const char *name) {
    int n = snprintf(path, PATH_MAX, "%s/%s%s%s", s->path, part, *name ? "/" : "", name);
    return n > 0 && n < PATH_MAX;
}

static int sync_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int why = fsync(fd) < 0 ? errno : 0;
    close(fd);
    return why;
}

static int make_directory(const char *path, bool *made) {
    if (mkdir(path, DIRECTORY_MODE) == 0) {
        *made = true;
        return 0;
    }
    return errno == EEXIST ? 0 : errno;
}

static int make_directories(const struct store *s) {
    static const char *const parts[] = {"tmp", "new", "bad"};
    char path[PATH_MAX];
    bool made = false;
    parents_make(s->path);
    int why = make_directory(s->path, &made);
    for (size_t i = 0; why == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        why = path_of(s, path, parts[i], "") ? make_directory(path, &made) : ENAMETOOLONG;
    }
    return why || !made ? why : sync_directory(s->path);
}

static int take_lock(struct store *s, pid_t *holder) {
    char path[PATH_MAX];
    if (!path_of(s, path, "lock", "")) {
        return ENAMETOOLONG;
    }
    struct stat here;
    struct stat there;
    if (s->lock >= 0) {
        if (fstat(s->lock, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino) {
            return 0;
        }
        close(s->lock); /* of a directory that has vanished */
        s->lock = -1;
    }
    switch (pidfile_acquire(path, &s->lock, holder)) {
    case PIDFILE_OK:
        return 0;
    case PIDFILE_HELD:
        s->lock = -1;
        return EBUSY;
    default:
        s->lock = -1;
        return errno ? errno : EIO;
    }
}

static void clear_unfinished(const struct store *s) {
    char path[PATH_MAX];
    DIR *dir = path_of(s, path, "tmp", "") ? opendir(path) : NULL;
    if (!dir) {
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        unlinkat(dirfd(dir), e->d_name, 0); /* a directory stays, and harms nobody */
    }
    closedir(dir);
}

int store_open(struct store *s, pid_t *holder) {
    *holder = 0;
    int why = make_directories(s);
    if (why == 0) {
        why = take_lock(s, holder);
    }
    if (why == 0) {
        clear_unfinished(s);
    }
    return why;
}

void store_name(char name[STORE_NAME], uint64_t number, int64_t created) {
    snprintf(name, STORE_NAME, "%012" PRIu64 "-%010" PRId64 ".spool", number, created);
}

bool store_parse_name(const char *name, uint64_t *number, int64_t *created) {
    char again[STORE_NAME];
    if (strspn(name, "0123456789-.lops") != strlen(name) ||
        sscanf(name, "%15" SCNu64 "-%15" SCNd64, number, created) != 2) {
        return false;
    }
    store_name(again, *number, *created);
    return *number < STORE_NUMBER_END && *created >= 0 && *created < STORE_NUMBER_END &&
           strcmp(again, name) == 0;
}

static int put_away(const struct store *s, const char *name, uint64_t *bad) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (!path_of(s, from, "new", name) || !path_of(s, to, "bad", name)) {
        return ENAMETOOLONG;
    }
    /* What was put away is for a person to look at; it must not fill the disk. */
    bool rename_it = *bad < BAD_MAX;
    if ((rename_it ? rename(from, to) : unlink(from)) < 0) {
        return errno;
    }
    *bad += rename_it;
    return 0;
}

static uint64_t count_bad(const struct store *s) {
    char path[PATH_MAX];
    uint64_t count = 0;
    DIR *dir = path_of(s, path, "bad", "") ? opendir(path) : NULL;
    if (!dir) {
        return 0;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        count += e->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

int store_put_away(struct store *s, const char *name) {
    uint64_t bad = count_bad(s);
    int why = put_away(s, name, &bad);
    return why == ENOENT ? 0 : why;
}

static int by_number(const void *a, const void *b) {
    const struct store_file *x = a;
    const struct store_file *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int add_file(struct store_listing *l, const struct store_file *file) {
    if (l->count == STORE_FILES_MAX) {
        l->more = true;
        return 0;
    }
    if ((l->count & (l->count - 1)) == 0) {
        size_t room = l->count ? 2 * l->count : 1;
        struct store_file *files = realloc(l->files, room * sizeof *files);
        if (!files) {
            return ENOMEM;
        }
        l->files = files;
    }
    l->files[l->count++] = *file;
    return 0;
}

static int list_entry(const struct store *s, int dir, const char *name, bool tidy,
                      struct store_listing *l) {
    struct stat st;
    struct store_file file = {0};
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? 0 : errno;
    }
    if (S_ISREG(st.st_mode) && store_parse_name(name, &file.number, &file.created)) {
        file.size = (uint64_t)st.st_size;
        file.modified = st.st_mtim.tv_sec;
        return add_file(l, &file);
    }
    if (tidy && put_away(s, name, &l->bad) == 0) {
        l->put_away++;
    }
    return 0;
}

int store_list(struct store *s, bool tidy, struct store_listing *listing) {
    char path[PATH_MAX];
    *listing = (struct store_listing){.bad = count_bad(s)};
    if (!path_of(s, path, "new", "")) {
        return ENAMETOOLONG;
    }
    DIR *dir = opendir(path);
    if (!dir) {
        return errno;
    }
    int why = 0;
    errno = 0;
    for (struct dirent *e = readdir(dir); e && why == 0; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            why = list_entry(s, dirfd(dir), e->d_name, tidy, listing);
        }
        errno = 0;
    }
    why = why ? why : errno;
    closedir(dir);
    if (why) {
        store_listing_free(listing);
    } else if (listing->count) {
        qsort(listing->files, listing->count, sizeof *listing->files, by_number);
    }
    return why;
}

void store_listing_free(struct store_listing *listing) {
    free(listing->files);
    *listing = (struct store_listing){0};
}

static int write_at(int fd, const char *bytes, size_t len, off_t at) {
    while (len) {
        ssize_t n = pwrite(fd, bytes, len, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : ENOSPC;
        }
        bytes += n;
        len -= (size_t)n;
        at += n;
    }
    return 0;
}

static int close_file(int fd, int why) {
    return close(fd) < 0 && why == 0 ? errno : why;
}

static int create(const char *path) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, flags, FILE_MODE);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0) {
        fd = open(path, flags, FILE_MODE);
    }
    return fd;
}

static int write_new(const char *path, const struct buffer *records) {
    char head[SEGMENT_HEAD];
    int fd = create(path);
    if (fd < 0) {
        return errno;
    }
    segment_head(head);
    int why = write_at(fd, head, sizeof head, 0);
    if (why == 0) {
        why = write_at(fd, records->data, records->len, sizeof head);
    }
    if (why == 0 && fdatasync(fd) < 0) {
        why = errno;
    }
    return close_file(fd, why);
}

static int commit_new(const struct store *s, const char *name, const struct buffer *records) {
    char unfinished[PATH_MAX];
    char finished[PATH_MAX];
    char directory[PATH_MAX];
    if (!path_of(s, unfinished, "tmp", name) || !path_of(s, finished, "new", name) ||
        !path_of(s, directory, "new", "")) {
        return ENAMETOOLONG;
    }
    int why = write_new(unfinished, records);
    if (why == 0 && rename(unfinished, finished) < 0) {
        why = errno;
    }
    if (why) {
        unlink(unfinished);
        return why;
    }
    why = sync_directory(directory);
    if (why) {
        unlink(finished);
    }
    return why;
}

static int commit_behind(const struct store *s, const char *name, uint64_t offset,
                         const struct buffer *records) {
    char path[PATH_MAX];
    struct stat st;
    if (!path_of(s, path, "new", name)) {
        return ENAMETOOLONG;
    }
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ESTALE : errno;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != offset) {
        return close_file(fd, ESTALE);
    }
    int why = write_at(fd, records->data, records->len, st.st_size);
    if (why == 0 && fdatasync(fd) < 0) {
        why = errno;
    }
    /* No half a record stays; where the disk doesn't let us do even that, readers see it as torn.
     */
    int cut = why ? ftruncate(fd, st.st_size) : 0;
    (void)cut;
    return close_file(fd, why);
}

int store_commit(struct store *s, const char *name, uint64_t offset, struct buffer *records) {
    segment_seal(records->data, records->len);
    if (offset) {
        return commit_behind(s, name, offset, records);
    }
    int why = commit_new(s, name, records);
    if (why == ENOENT) { /* somebody removed the directories */
        pid_t holder;
        why = store_open(s, &holder);
        why = why ? why : commit_new(s, name, records);
    }
    return why;
}

static int read_all(int fd, size_t size, struct buffer *bytes) {
    if (!buffer_reserve(bytes, size + 1)) {
        return ENOMEM;
    }
    while (bytes->len < size) {
        ssize_t n = pread(fd, bytes->data + bytes->len, size - bytes->len, (off_t)bytes->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        if (n == 0) {
            break; /* became shorter: its last record is torn */
        }
        bytes->len += (size_t)n;
    }
    return 0;
}

int store_read(struct store *s, const char *name, struct buffer *bytes) {
    static const int verdicts[] = {
        [SEGMENT_OURS] = 0, [SEGMENT_FOREIGN] = EBADMSG, [SEGMENT_OTHER_VERSION] = EPROTO};
    char path[PATH_MAX];
    struct stat st;
    if (!path_of(s, path, "new", name)) {
        return ENAMETOOLONG;
    }
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int why = fstat(fd, &st) < 0 ? errno : 0;
    if (why == 0 && (!S_ISREG(st.st_mode) || st.st_size > SEGMENT_MAX)) {
        why = EBADMSG;
    }
    buffer_init(bytes, SEGMENT_MAX + 1);
    if (why == 0) {
        why = read_all(fd, (size_t)st.st_size, bytes);
    }
    close(fd);
    if (why == 0) {
        why = verdicts[segment_check(bytes->data, bytes->len)];
    }
    if (why) {
        buffer_free(bytes);
    }
    return why;
}

int store_remove(struct store *s, const char *name) {
    char path[PATH_MAX];
    if (!path_of(s, path, "new", name)) {
        return ENAMETOOLONG;
    }
    return unlink(path) < 0 && errno != ENOENT ? errno : 0;
}
