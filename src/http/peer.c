#include "http/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum { GROUPS_MAX = 65536 }; /* NGROUPS_MAX of the kernel */

static bool read_credentials(int fd, struct http_peer *peer) {
    struct ucred c;
    socklen_t n = sizeof c;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) != 0 || n != sizeof c) {
        return false;
    }
    peer->local = true;
    peer->uid = c.uid;
    peer->gid = c.gid;
    peer->pid = c.pid;
    return true;
}

static bool read_ip4(const struct in_addr *ip, struct http_peer *peer) {
    peer->loopback = ntohl(ip->s_addr) >> 24 == 127;
    return inet_ntop(AF_INET, ip, peer->address, sizeof peer->address) != NULL;
}

static bool read_ip6(const struct in6_addr *ip, struct http_peer *peer) {
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        struct in_addr v4;
        memcpy(&v4, ip->s6_addr + 12, sizeof v4);
        return read_ip4(&v4, peer);
    }
    peer->loopback = IN6_IS_ADDR_LOOPBACK(ip);
    return inet_ntop(AF_INET6, ip, peer->address, sizeof peer->address) != NULL;
}

bool http_peer_read(int fd, struct http_peer *peer) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    *peer = (struct http_peer){0};
    if (getpeername(fd, (struct sockaddr *)&a, &n) != 0) {
        return false;
    }
    switch (a.ss_family) {
    case AF_UNIX:
        return read_credentials(fd, peer);
    case AF_INET:
        return read_ip4(&((struct sockaddr_in *)&a)->sin_addr, peer);
    case AF_INET6:
        return read_ip6(&((struct sockaddr_in6 *)&a)->sin6_addr, peer);
    default:
        return false;
    }
}

static bool among(const gid_t *groups, size_t n, gid_t group) {
    for (size_t i = 0; i < n; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

bool http_peer_in_group(int fd, gid_t group) {
    struct http_peer peer;
    if (!http_peer_read(fd, &peer) || !peer.local) {
        return false;
    }
    if (peer.gid == group) {
        return true;
    }
    gid_t few[64];
    socklen_t n = sizeof few;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &n) == 0) {
        return among(few, n / sizeof *few, group);
    }
    if (errno != ERANGE || n > GROUPS_MAX * sizeof *few) {
        return false;
    }
    gid_t *many = malloc(n); /* n: what the kernel says is needed */
    bool found = many && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, &n) == 0 &&
                 among(many, n / sizeof *many, group);
    free(many);
    return found;
}
