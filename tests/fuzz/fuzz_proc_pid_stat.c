/* /proc/PID/stat: a letter or nothing. */
#include <ctype.h>
#include <stdlib.h>

#include "proc/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char state = proc_state((const char *)data, size);
    if (state && !isalpha(state)) {
        abort();
    }
    return 0;
}
