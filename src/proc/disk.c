#include "proc/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Columns behind the name, counted from 0; kernels since 4.18 and 5.5 append discards and flushes.
 */
enum { READS = 0, READ_MS = 3, WRITES = 4, WRITE_MS = 7, IO_MS = 9, COLUMNS = 11 };

static bool parse_disk(struct scan line, struct proc_disk *disk) {
    uint64_t major = 0;
    uint64_t minor = 0;
    struct scan name;
    if (!scan_u64(&line, &major) || !scan_u64(&line, &minor) || !scan_word(&line, &name)) {
        return false;
    }
    uint64_t v[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        if (!scan_u64(&line, &v[i])) {
            return false;
        }
    }
    *disk = (struct proc_disk){name.at,   scan_left(&name), v[READS], v[READ_MS],
                               v[WRITES], v[WRITE_MS],      v[IO_MS]};
    return disk->name_len <= PROC_DISK_NAME;
}

bool proc_disk_next(struct scan *s, struct proc_disk *disk) {
    struct scan line;
    while (scan_line(s, &line)) {
        if (parse_disk(line, disk)) {
            return true;
        }
    }
    return false;
}

static bool take_digits(struct scan *s) {
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    return s->at > from;
}

static bool take_letters(struct scan *s) {
    const char *from = s->at;
    while (s->at < s->end && *s->at >= 'a' && *s->at <= 'z') {
        s->at++;
    }
    return s->at > from;
}

/* Whether the name is `prefix` and a number. */
static bool is_numbered(struct scan name, const char *prefix) {
    return scan_text(&name, prefix) && take_digits(&name) && name.at == name.end;
}

/* Whether the name is `prefix` and letters: sda, sdaa, xvdb. */
static bool is_lettered(struct scan name, const char *prefix) {
    return scan_text(&name, prefix) && take_letters(&name) && name.at == name.end;
}

/* Whether the name is `prefix`, a number, `between`, a number: nvme0n1, cciss/c0d1. */
static bool is_doubly_numbered(struct scan name, const char *prefix, const char *between) {
    return scan_text(&name, prefix) && take_digits(&name) && scan_text(&name, between) &&
           take_digits(&name) && name.at == name.end;
}

static bool is_flash_area(struct scan name) {
    if (!scan_text(&name, "mmcblk") || !take_digits(&name)) {
        return false;
    }
    return is_numbered(name, "boot") || is_numbered(name, "gp") ||
           (scan_text(&name, "rpmb") && name.at == name.end);
}

bool proc_disk_ignored(const char *name, size_t n) {
    static const char *const prefixes[] = {"loop", "ram", "zram", "fd", "sr", "scd", "mtdblock"};
    struct scan s = scan_bytes(name, n);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (is_numbered(s, prefixes[i])) {
            return true;
        }
    }
    return is_flash_area(s);
}

bool proc_disk_whole_name(const char *name, size_t n) {
    static const char *const lettered[] = {"sd", "hd", "vd", "xvd", "ubd", "dasd", "fio", "hio"};
    static const char *const numbered[] = {"md",     "md_d", "dm-",    "mmcblk", "nbd", "drbd",
                                           "bcache", "rbd",  "mspblk", "pmem",   "zd",  "nullb"};
    struct scan s = scan_bytes(name, n);
    for (size_t i = 0; i < sizeof lettered / sizeof lettered[0]; i++) {
        if (is_lettered(s, lettered[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        if (is_numbered(s, numbered[i])) {
            return true;
        }
    }
    return is_doubly_numbered(s, "nvme", "n") || is_doubly_numbered(s, "cciss/c", "d") ||
           is_doubly_numbered(s, "ida/c", "d") || is_doubly_numbered(s, "rssd", "");
}

bool proc_disk_unconnected(const struct proc_disk *disk) {
    return is_numbered(scan_bytes(disk->name, disk->name_len), "nbd") && disk->reads == 0 &&
           disk->writes == 0 && disk->io_ms == 0;
}

struct proc_disk_seen {
    char name[PROC_DISK_NAME + 1];
    bool whole;
};

static bool decide(int sysfs, const char *name) {
    size_t n = strlen(name);
    if (proc_disk_ignored(name, n)) {
        return false;
    }
    if (sysfs < 0 || faccessat(sysfs, "block", F_OK, 0) != 0) {
        return proc_disk_whole_name(name, n);
    }
    char path[sizeof "block/" + PROC_DISK_NAME];
    snprintf(path, sizeof path, "block/%s", name);
    for (char *c = path + strlen("block/"); *c; c++) {
        *c = *c == '/' ? '!' : *c; /* sysfs' own spelling of cciss/c0d0 */
    }
    return faccessat(sysfs, path, F_OK, 0) == 0;
}

static bool remember(struct proc_disk_memory *memory, size_t position) {
    if (position < memory->count) {
        return true;
    }
    size_t count = position + 16;
    struct proc_disk_seen *grown = realloc(memory->seen, count * sizeof *grown);
    if (!grown) {
        return false;
    }
    memset(grown + memory->count, 0, (count - memory->count) * sizeof *grown);
    memory->seen = grown;
    memory->count = count;
    return true;
}

bool proc_disk_whole(struct proc_disk_memory *memory, int sysfs, size_t position,
                     const struct proc_disk *disk) {
    char name[PROC_DISK_NAME + 1] = {0};
    memcpy(name, disk->name, disk->name_len);
    if (name[0] == '.' || !remember(memory, position)) {
        return false;
    }
    struct proc_disk_seen *seen = &memory->seen[position];
    if (memcmp(seen->name, name, sizeof name) != 0) {
        memcpy(seen->name, name, sizeof name);
        seen->whole = decide(sysfs, name);
    }
    return seen->whole;
}

void proc_disk_forget(struct proc_disk_memory *memory) {
    free(memory->seen);
    *memory = (struct proc_disk_memory){0};
}
