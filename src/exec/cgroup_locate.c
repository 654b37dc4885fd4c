#include <stdio.h>
#include <string.h>

#include "exec/cgroup.h"

/* A root without CLONE_NEWCGROUP of a container may begin with "/..": that isn't below the mount.
 */
static bool path_below(const char *path, const char *root, size_t root_len, const char **rest) {
    if (root_len == 1) {
        root_len = 0;
    }
    if (strncmp(path, root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != 0) ||
        strstr(path, "/..")) {
        return false;
    }
    *rest = strcmp(path + root_len, "/") == 0 ? "" : path + root_len;
    return true;
}

static bool mounted_here(const char *line, const char *path, char dir[CGROUP_PATH]) {
    char root[CGROUP_PATH], point[CGROUP_PATH];
    const char *rest = "", *type = strstr(line, " - ");
    if (!type || strncmp(type, " - cgroup2 ", 11) != 0 ||
        sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2 || strchr(point, '\\') ||
        !path_below(path, root, strlen(root), &rest)) {
        return false;
    }
    int n = snprintf(dir, CGROUP_PATH, "%s%s", point, rest);
    return n > 0 && n < CGROUP_PATH - CGROUP_ID - 8; /* room for /agent/ID */
}

const char *cgroup_locate(const char *self, const char *mountinfo, char dir[CGROUP_PATH]) {
    char path[CGROUP_PATH] = "";
    const char *at = strncmp(self, "0::", 3) == 0 ? self : strstr(self, "\n0::");
    if (!at || sscanf(strchr(at, '0'), "0::%511[^\n]", path) != 1) {
        return "the kernel has no cgroup v2";
    }
    for (const char *line = mountinfo; *line;) {
        size_t len = strcspn(line, "\n");
        char copy[2 * CGROUP_PATH];
        snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : 0), line);
        if (mounted_here(copy, path, dir)) {
            return NULL;
        }
        line += len + (line[len] == '\n');
    }
    return "no cgroup v2 hierarchy with our cgroup is mounted";
}
