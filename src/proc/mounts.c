#include "proc/mounts.h"

static bool parse_mount(struct scan line, struct proc_mount *mount) {
    mount->source = (struct scan){line.at, line.at};
    bool named =
        line.at < line.end && *line.at != ' '; /* mount -t tmpfs "" /x leaves nothing there */
    return (!named || scan_word(&line, &mount->source)) && scan_word(&line, &mount->mount) &&
           scan_word(&line, &mount->type) && scan_word(&line, &mount->options) &&
           *mount->mount.at == '/';
}

bool proc_mount_next(struct scan *s, struct proc_mount *mount) {
    struct scan line;
    while (scan_line(s, &line)) {
        if (parse_mount(line, mount)) {
            return true;
        }
    }
    return false;
}

/* The byte that \ooo stands for; 0 where it is no such escape, and for \000, which no path can
 * hold. */
static unsigned escaped(const char *c) {
    unsigned value = 0;
    for (int i = 1; i <= 3; i++) {
        if (c[i] < '0' || c[i] > '7') {
            return 0;
        }
        value = value * 8 + (unsigned)(c[i] - '0');
    }
    return value <= 255 ? value : 0;
}

size_t proc_unescape(struct scan in, char *out) {
    size_t n = 0;
    while (in.at < in.end) {
        unsigned byte = *in.at == '\\' && scan_left(&in) >= 4 ? escaped(in.at) : 0;
        out[n++] = byte ? (char)byte : *in.at;
        in.at += byte ? 4 : 1;
    }
    return n;
}
