/* /proc/PID/stat: any text is either refused or gives a state and numbers, within its bounds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    struct family_stat st;
    memcpy(text, data, size);
    text[size] = 0;
    assert(!family_parse_stat(text, &st) || st.state != 0);
    free(text);
    return 0;
}
