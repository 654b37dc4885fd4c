#include "util/parents.h"

#include <string.h>
#include <sys/stat.h>

void parents_make(const char *path) {
    char name[PARENTS_PATH_LONGEST];
    size_t n = strlen(path);
    if (n >= sizeof name) {
        return;
    }
    memcpy(name, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (name[i] == '/') {
            name[i] = '\0';
            mkdir(name, 0755);
            name[i] = '/';
        }
    }
}
