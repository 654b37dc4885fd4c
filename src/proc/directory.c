#include "proc/directory.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

long proc_entries(int directory, char *bytes, size_t size) {
    long n = syscall(SYS_getdents64, directory, bytes, size);
    return n < 0 ? -errno : n;
}

int proc_pid(const char *name) {
    int pid = 0;
    for (int i = 0; name[i]; i++) {
        if (name[i] < '0' || name[i] > '9' || i == PROC_PID_DIGITS) {
            return 0;
        }
        pid = pid * 10 + (name[i] - '0');
    }
    return pid;
}
