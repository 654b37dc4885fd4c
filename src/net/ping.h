/* ICMP echo: one socket of each family, for any number of questions at once. Nothing here waits. */
#ifndef AGENT_NET_PING_H
#define AGENT_NET_PING_H

#include <stdbool.h>
#include <stdint.h>

enum { PING_FAMILIES = 2 }; /* 0: IPv4, 1: IPv6 */

struct ping {
    int fds[PING_FAMILIES]; /* -1: the kernel gives us none */
    bool raw[PING_FAMILIES];
    uint16_t id;
    uint64_t cookie; /* what is an answer to us carries it */
};

struct ping_answer {
    uint16_t seq;
    double seconds; /* from the sending to the kernel's stamp on the answer */
};

/* Opens what the kernel allows: raw sockets, else those of net.ipv4.ping_group_range. Then gives up
 * every capability of this thread, and what programs could inherit. false: no socket at all; errno
 * is of the last. */
bool ping_open(struct ping *p);

/* Asks a numeric address. 0, or an errno. */
int ping_send(struct ping *p, const char *address, uint16_t seq);

/* The next answer that has come at the socket of that family. false: none. */
bool ping_receive(struct ping *p, int family, struct ping_answer *out);

void ping_close(struct ping *p);

#endif
