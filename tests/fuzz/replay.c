/* Runs a fuzz target over its checked-in corpus, as an ordinary test: TAP, one line a file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return -1;
    }
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
    size_t n = bytes ? fread(bytes, 1, (size_t)size, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 0;
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/');
    name = strstr(name ? name : argv[0], "fuzz_");
    char folder[512];
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name ? name + strlen("fuzz_") : "");
    (void)argc;
    DIR *dir = opendir(folder);
    int files = 0;
    for (struct dirent *e = NULL; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') {
            continue;
        }
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        int failed = replay(path) != 0;
        printf("%sok %d - corpus %s\n", failed ? "not " : "", ++files, path);
    }
    if (dir) {
        closedir(dir);
    }
    if (!files) {
        printf("not ok - no corpus in %s\n", folder);
    }
    return files ? 0 : 1;
}
