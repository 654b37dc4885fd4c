/* /proc/PID/limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec/mark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    struct marks marks;
    marks_init(&marks, RLIM_INFINITY);
    uint32_t newest = marks_next(&marks);
    if (text) {
        memcpy(text, data, size);
        text[size] = 0;
        if (mark_run(&marks, mark_parse(text)) > newest) {
            abort();
        }
    }
    free(text);
    return 0;
}
