/* Who is at the other end of a connection. */
#ifndef AGENT_HTTP_PEER_H
#define AGENT_HTTP_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct http_peer {
    bool local;    /* a unix socket: uid, gid and pid are known; else the address is */
    bool loopback; /* TCP from this host */
    uid_t uid;     /* as of the moment of connect(), likewise gid and pid */
    gid_t gid;
    pid_t pid;
    char address[48]; /* IPv4 that came in as IPv6 is written as IPv4 */
};

/* false: the kernel doesn't say. */
bool http_peer_read(int fd, struct http_peer *peer);

/* Whether the process at the other end of a unix socket was in the group when it connected: by its
 * primary or one of its supplementary groups (those since Linux 4.13). */
bool http_peer_in_group(int fd, gid_t group);

#endif
