/* /proc/loadavg: three finite numbers that are not negative, or none. */
#include <stdlib.h>

#include "proc/cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    double averages[3];
    if (proc_loadavg((const char *)data, size, averages)) {
        for (int i = 0; i < 3; i++) {
            if (!(averages[i] >= 0 && averages[i] < 1e16)) {
                abort();
            }
        }
    }
    return 0;
}
