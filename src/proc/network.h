/* /proc/net/dev and /proc/net/sockstat. */
#ifndef AGENT_PROC_NETWORK_H
#define AGENT_PROC_NETWORK_H

#include "proc/scan.h"

enum { PROC_INTERFACE_NAME = 63 }; /* today's kernels allow 15 bytes */

struct proc_interface {
    const char *name; /* borrowed from the scanned bytes; no blank, no slash in it */
    size_t name_len;  /* 1 … PROC_INTERFACE_NAME */
    uint64_t in_bytes;
    uint64_t in_dropped;
    uint64_t out_bytes;
    uint64_t out_dropped;
};

/* Takes the next well-formed interface line; others are passed over. false: none is left. */
bool proc_interface_next(struct scan *s, struct proc_interface *interface);

struct proc_sockets {
    uint64_t used;
    uint64_t tcp_inuse;
    uint64_t tcp_timewait;
    bool has_tcp; /* no TCP line where the kernel has no IPv4 */
};

/* false: no `sockets: used N` in it. */
bool proc_sockets(const char *bytes, size_t n, struct proc_sockets *sockets);

/* The content of /sys/class/net/NAME/speed in Mbit/s; 0 where the driver does not know it. */
uint64_t proc_link_speed(const char *bytes, size_t n);

#endif
