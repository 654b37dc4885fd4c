#include "proc/kernel_files.h"

bool proc_files(const char *bytes, size_t n, struct proc_files *files) {
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    struct scan more;
    uint64_t unused = 0;
    return scan_line(&s, &line) && scan_u64(&line, &files->allocated) && scan_u64(&line, &unused) &&
           scan_u64(&line, &files->max) && !scan_word(&line, &more);
}

bool proc_number(const char *bytes, size_t n, uint64_t *value) {
    struct scan s = scan_bytes(bytes, n);
    struct scan line;
    struct scan more;
    return scan_line(&s, &line) && scan_u64(&line, value) && !scan_word(&line, &more);
}
