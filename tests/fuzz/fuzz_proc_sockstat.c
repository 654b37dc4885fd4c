/* /proc/net/sockstat, and the one number of a speed file. */
#include <stdlib.h>

#include "proc/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proc_sockets sockets;
    proc_sockets((const char *)data, size, &sockets);
    if (proc_link_speed((const char *)data, size) > INT32_MAX) {
        abort();
    }
    return 0;
}
