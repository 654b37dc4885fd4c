#include "proc/network.h"

#include <string.h>

/* Columns of /proc/net/dev behind the colon, the same since 2.2. */
enum { IN_BYTES = 0, IN_DROPPED = 3, OUT_BYTES = 8, OUT_DROPPED = 11, COLUMNS = 16 };

static bool parse_interface(struct scan line, struct proc_interface *interface) {
    /* The last colon: a name may hold one, and old kernels leave no blank behind it. */
    const char *colon = line.at < line.end ? memrchr(line.at, ':', scan_left(&line)) : NULL;
    if (!colon) {
        return false;
    }
    struct scan front = {line.at, colon};
    struct scan name;
    struct scan more;
    if (!scan_word(&front, &name) || scan_word(&front, &more) ||
        scan_left(&name) > PROC_INTERFACE_NAME || memchr(name.at, '/', scan_left(&name))) {
        return false;
    }
    line.at = colon + 1;
    uint64_t v[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        if (!scan_u64(&line, &v[i])) {
            return false;
        }
    }
    *interface = (struct proc_interface){name.at,       scan_left(&name), v[IN_BYTES],
                                         v[IN_DROPPED], v[OUT_BYTES],     v[OUT_DROPPED]};
    return true;
}

bool proc_interface_next(struct scan *s, struct proc_interface *interface) {
    struct scan line;
    while (scan_line(s, &line)) {
        if (parse_interface(line, interface)) {
            return true;
        }
    }
    return false;
}

static bool take_pair(struct scan *line, const char *key, uint64_t *value) {
    struct scan rest = *line;
    struct scan word;
    while (scan_word(&rest, &word)) {
        if (scan_text(&word, key) && word.at == word.end) {
            return scan_u64(&rest, value);
        }
    }
    return false;
}

bool proc_sockets(const char *bytes, size_t n, struct proc_sockets *sockets) {
    *sockets = (struct proc_sockets){0};
    bool has_used = false;
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    while (scan_line(&s, &line)) {
        if (scan_text(&line, "sockets:")) {
            has_used = take_pair(&line, "used", &sockets->used);
        } else if (scan_text(&line, "TCP:")) {
            sockets->has_tcp = take_pair(&line, "inuse", &sockets->tcp_inuse) &&
                               take_pair(&line, "tw", &sockets->tcp_timewait);
        }
    }
    return has_used;
}

uint64_t proc_link_speed(const char *bytes, size_t n) {
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    uint64_t speed = 0;
    if (!scan_line(&s, &line) || !scan_u64(&line, &speed)) {
        return 0;
    }
    /* "Unknown" is -1, printed by older kernels as 32 or 16 bits without a sign. */
    return speed > INT32_MAX || speed == UINT16_MAX ? 0 : speed;
}
