/* The directories above a file. */
#ifndef AGENT_UTIL_PARENTS_H
#define AGENT_UTIL_PARENTS_H

enum { PARENTS_PATH_LONGEST = 4096 };

/* Makes those that are missing (0755). What can't be made shows when the file is opened. Blocks. */
void parents_make(const char *path);

#endif
