/* Whatever is said to be Prometheus' text or OpenMetrics: see tests/fuzz/format.lua for what must
 * hold. */
#include "format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L; /* opened once: a state for each input would be most of the work */
    if (!L) {
        L = format_open("prometheus");
    }
    format_check(L, data, size);
    return 0;
}
