/* Whatever is said to come from a Nagios plugin: see tests/fuzz/format.lua for what must hold. */
#include "format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L; /* opened once: a state for each input would be most of the work */
    if (!L) {
        L = format_open("nagios");
    }
    format_check(L, data, size);
    return 0;
}
