/* /proc/mounts: words inside the input, and decoding never makes them longer. */
#include <stdlib.h>
#include <string.h>

#include "proc/mounts.h"

static void decode(struct scan word, char *room) {
    size_t n = proc_unescape(word, room);
    if (n > scan_left(&word) ||
        (n && memchr(room, 0, n) && !memchr(word.at, 0, scan_left(&word)))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scan s = scan_bytes((const char *)data, size);
    struct proc_mount mount;
    char *room = malloc(size + 1);
    while (room && proc_mount_next(&s, &mount)) {
        decode(mount.source, room);
        decode(mount.mount, room);
        decode(mount.type, room);
        decode(mount.options, room);
        if (*mount.mount.at != '/') {
            abort();
        }
    }
    free(room);
    return 0;
}
