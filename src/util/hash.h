/* A hash that is the same on every machine and in every run. */
#ifndef AGENT_UTIL_HASH_H
#define AGENT_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a of 32 bit (draft-eastlake-fnv), mixed once more: similar names must differ in every bit.
 */
uint32_t hash_of(const void *bytes, size_t n);

#endif
