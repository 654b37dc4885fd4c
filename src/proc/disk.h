/* /proc/diskstats, and which of its lines are whole disks. */
#ifndef AGENT_PROC_DISK_H
#define AGENT_PROC_DISK_H

#include "proc/scan.h"

enum { PROC_DISK_NAME = 31 }; /* the kernel's DISK_NAME_LEN without the NUL */

struct proc_disk {
    const char *name; /* borrowed from the scanned bytes */
    size_t name_len;  /* 1 … PROC_DISK_NAME */
    uint64_t reads;   /* completed since boot */
    uint64_t read_ms;
    uint64_t writes;
    uint64_t write_ms;
    uint64_t io_ms; /* during which the device had anything to do */
};

/* Takes the next well-formed line of at least 14 columns; others are passed over. false: none is
 * left. */
bool proc_disk_next(struct scan *s, struct proc_disk *disk);

/* Block devices that are no disks of the host: loop, ram, zram, floppy, optical, flash boot areas.
 */
bool proc_disk_ignored(const char *name, size_t n);

/* Whether the name alone says "a whole disk, not a partition"; for where there is no /sys/block. */
bool proc_disk_whole_name(const char *name, size_t n);

/* An nbd device that was never connected: the module makes 16 of them, all zero. */
bool proc_disk_unconnected(const struct proc_disk *disk);

/* What was decided about the line at each position of /proc/diskstats the last time: the order is
 * stable, so a device is looked up in /sys/block once, and forgotten when its line is another's. */
struct proc_disk_memory {
    struct proc_disk_seen *seen; /* owned */
    size_t count;
};

/* Whether the device on line number `position` is a whole disk that counts. `sysfs` is a directory
 * descriptor (-1: none); /sys/block lists exactly the whole disks, the name decides without it. */
bool proc_disk_whole(struct proc_disk_memory *memory, int sysfs, size_t position,
                     const struct proc_disk *disk);

void proc_disk_forget(struct proc_disk_memory *memory);

#endif
