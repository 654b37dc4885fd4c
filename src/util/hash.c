#include "util/hash.h"

enum { FNV_PRIME = 16777619 };

uint32_t hash_of(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    uint32_t h = 0x811c9dc5;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * FNV_PRIME;
    }
    h ^= h >> 16;
    h += (h << 3) + (h << 11);
    return h ^ (h >> 13);
}
