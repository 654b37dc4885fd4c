/* Invariant: whatever the record holds, the strings of a login are ended, in bounds and clean. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/utmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t width) {
    size_t len = strnlen(text, width + 1);
    if (len > width || (len && (text[0] == ' ' || text[len - 1] == ' '))) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            abort();
        }
    }
}

static void check_records(const uint8_t *data, size_t size, size_t record) {
    for (size_t at = 0; at + record <= size; at += record) {
        struct utmp_login login;
        uint8_t *copy = malloc(record); /* of the exact size: a byte too far is seen */
        if (!copy) {
            abort();
        }
        memcpy(copy, data + at, record);
        for (int kind = UTMP_LOGINS; kind <= UTMP_FAILURES; kind++) {
            if (utmp_login(copy, record, (enum utmp_kind)kind, &login)) {
                check_text(login.user, UTMP_USER);
                check_text(login.device, UTMP_LINE);
                check_text(login.remote, UTMP_HOST);
            }
        }
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_records(data, size, UTMP_RECORD);
    check_records(data, size, UTMP_RECORD_WIDE);
    return 0;
}
