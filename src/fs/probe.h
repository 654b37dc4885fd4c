/* Questions to a file system. Each may hang for ever on a dead one: for worker processes only. */
#ifndef AGENT_FS_PROBE_H
#define AGENT_FS_PROBE_H

#include <stddef.h>
#include <sys/statvfs.h>

/* 0 and the numbers of the file system at the directory `path`, or errno: ENOTDIR for a mount point
 * that is a file. */
int fs_usage(const char *path, struct statvfs *usage);

/* Opens the directory and reads its first entry. 0 or errno. */
int fs_list(const char *path);

/* Creates `name` in the directory, writes the text, reads it back, compares (EIO) and unlinks it.
 * Only ever touches a file that it made itself, follows no symbolic link. 0 or errno. */
int fs_write(const char *path, const char *name, const char *text, size_t len);

#endif
