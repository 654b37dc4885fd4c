/* /proc/net/dev: a name that is safe as part of a path. */
#include <stdlib.h>
#include <string.h>

#include "proc/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scan s = scan_bytes((const char *)data, size);
    struct proc_interface interface;
    while (proc_interface_next(&s, &interface)) {
        if (interface.name_len == 0 || interface.name_len > PROC_INTERFACE_NAME ||
            memchr(interface.name, '/', interface.name_len) ||
            memchr(interface.name, '\n', interface.name_len)) {
            abort();
        }
    }
    return 0;
}
