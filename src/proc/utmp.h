/* Records of wtmp and btmp, see utmp(5). A pure parser: bytes in, one login out. */
#ifndef AGENT_PROC_UTMP_H
#define AGENT_PROC_UTMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTMP_LINE = 32, UTMP_USER = 32, UTMP_HOST = 256 };

/* Bytes of one record: 384 where glibc keeps 32-bit times for old programs' sake (x86_64, s390x,
 * ppc64le), 400 elsewhere (aarch64). */
enum { UTMP_RECORD = 384, UTMP_RECORD_WIDE = 400 };

/* Which of utmp(5)'s types count as a login. */
enum utmp_kind {
    UTMP_LOGINS,  /* wtmp: USER_PROCESS; logouts, boots and runlevels share the file */
    UTMP_FAILURES /* btmp: sshd and login write LOGIN_PROCESS, others USER_PROCESS */
};

/* The strings end with NUL; spaces around them and control characters are gone, and they may be
 * empty. */
struct utmp_login {
    int64_t time; /* unix seconds */
    char user[UTMP_USER + 1];
    char device[UTMP_LINE + 1];
    char remote[UTMP_HOST + 1];
};

/* The size of this machine's records: UTMP_RECORD or UTMP_RECORD_WIDE. */
size_t utmp_record_size(void);

/* The time of a record of `size` bytes, one of the two sizes above, in the machine's byte order. */
int64_t utmp_time(const uint8_t *record, size_t size);

/* Fills `login`. false: the record is no login of that kind. */
bool utmp_login(const uint8_t *record, size_t size, enum utmp_kind kind, struct utmp_login *login);

#endif
