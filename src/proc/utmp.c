#include "proc/utmp.h"

#include <string.h>
#include <utmp.h>

/* Offsets of struct utmp; both layouts agree up to the exit status. */
enum { AT_TYPE = 0, AT_LINE = 8, AT_USER = 44, AT_HOST = 76, AT_TIME = 340, AT_TIME_WIDE = 344 };

_Static_assert(sizeof(struct utmp) == UTMP_RECORD || sizeof(struct utmp) == UTMP_RECORD_WIDE,
               "a layout of utmp that nobody has described");

size_t utmp_record_size(void) {
    return sizeof(struct utmp);
}

int64_t utmp_time(const uint8_t *record, size_t size) {
    if (size == UTMP_RECORD_WIDE) {
        int64_t wide;
        memcpy(&wide, record + AT_TIME_WIDE, sizeof wide);
        return wide;
    }
    uint32_t seconds; /* unsigned: good until 2106, and no record is from before 1970 */
    memcpy(&seconds, record + AT_TIME, sizeof seconds);
    return seconds;
}

/* Copies a field that a NUL ends only when it is shorter than `width`. */
static void copy_text(char *to, const uint8_t *field, size_t width) {
    size_t n = 0;
    for (size_t i = 0; i < width && field[i]; i++) {
        bool control = field[i] < 0x20 || field[i] == 0x7f;
        if (!control && (n > 0 || field[i] != ' ')) {
            to[n++] = (char)field[i];
        }
    }
    while (n > 0 && to[n - 1] == ' ') {
        n--;
    }
    to[n] = '\0';
}

bool utmp_login(const uint8_t *record, size_t size, enum utmp_kind kind, struct utmp_login *login) {
    int16_t type;
    memcpy(&type, record + AT_TYPE, sizeof type);
    if (type != USER_PROCESS && !(kind == UTMP_FAILURES && type == LOGIN_PROCESS)) {
        return false;
    }
    login->time = utmp_time(record, size);
    copy_text(login->user, record + AT_USER, UTMP_USER);
    copy_text(login->device, record + AT_LINE, UTMP_LINE);
    copy_text(login->remote, record + AT_HOST, UTMP_HOST);
    return true;
}
