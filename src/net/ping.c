#include "net/ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The head of ICMP and ICMPv6 echo alike. */
struct packet {
    uint8_t type;
    uint8_t code;
    uint16_t checksum;
    uint16_t id;
    uint16_t seq;
    uint64_t cookie;
    uint64_t sent_ns;
    unsigned char padding[32];
};

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void only_answers(int fd, int family) {
    if (family == 0) {
        struct icmp_filter filter = {.data = ~(1U << ICMP_ECHOREPLY)};
        setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
    } else {
        struct icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
        setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
    }
}

static int open_family(struct ping *p, int family) {
    static const int domains[] = {AF_INET, AF_INET6};
    static const int protocols[] = {IPPROTO_ICMP, IPPROTO_ICMPV6};
    int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int on = 1;
    int fd = socket(domains[family], SOCK_RAW | flags, protocols[family]);
    p->raw[family] = fd >= 0;
    if (fd < 0) {
        fd = socket(domains[family], SOCK_DGRAM | flags, protocols[family]);
    } else {
        only_answers(fd, family);
    }
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
    return fd;
}

static void drop_capabilities(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &head, none);
}

bool ping_open(struct ping *p) {
    *p = (struct ping){.fds = {-1, -1}};
    if (getrandom(&p->cookie, sizeof p->cookie, GRND_NONBLOCK) != sizeof p->cookie) {
        p->cookie = wall_ns();
    }
    p->id = (uint16_t)p->cookie;
    for (int family = 0; family < PING_FAMILIES; family++) {
        p->fds[family] = open_family(p, family);
    }
    int why = errno;
    /* Root that was not made somebody else keeps what it is. */
    if (geteuid() != 0) {
        drop_capabilities();
    }
    errno = why;
    return p->fds[0] >= 0 || p->fds[1] >= 0;
}

static uint16_t checksum(const void *bytes, size_t len) {
    const uint8_t *b = bytes;
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        sum += (uint32_t)b[i] << 8 | b[i + 1];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return htons((uint16_t)~sum);
}

int ping_send(struct ping *p, const char *address, uint16_t seq) {
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
    int family = inet_pton(AF_INET, address, &to4.sin_addr) == 1     ? 0
                 : inet_pton(AF_INET6, address, &to6.sin6_addr) == 1 ? 1
                                                                     : -1;
    if (family < 0) {
        return EINVAL;
    }
    if (p->fds[family] < 0) {
        return EPERM;
    }
    struct packet packet;
    memset(&packet, 0, sizeof packet); /* whole: the checksum goes over every byte */
    packet.type = family == 0 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    packet.id = htons(p->id);
    packet.seq = htons(seq);
    packet.cookie = p->cookie;
    packet.sent_ns = wall_ns();
    if (family == 0) { /* the kernel computes that of ICMPv6 */
        packet.checksum = checksum(&packet, sizeof packet);
    }
    const struct sockaddr *to = family == 0 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6;
    ssize_t sent = sendto(p->fds[family], &packet, sizeof packet, 0, to,
                          family == 0 ? sizeof to4 : sizeof to6);
    return sent < 0 ? errno : 0;
}

static uint64_t stamp_of(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
        }
    }
    return wall_ns();
}

/* A raw IPv4 socket shows the head of IP, too. */
static size_t head_length(const struct ping *p, int family, const unsigned char *bytes) {
    return family == 0 && p->raw[0] ? (size_t)(bytes[0] & 15) * 4 : 0;
}

static bool is_ours(const struct ping *p, int family, const struct packet *packet) {
    return packet->type == (family == 0 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
           packet->cookie == p->cookie;
}

bool ping_receive(struct ping *p, int family, struct ping_answer *out) {
    unsigned char bytes[512];
    _Alignas(struct cmsghdr) char control[128];
    for (int tries = 0; p->fds[family] >= 0 && tries < 1000; tries++) {
        struct iovec part = {bytes, sizeof bytes};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->fds[family], &message, 0);
        if (n <= 0) {
            return false;
        }
        struct packet packet;
        size_t head = head_length(p, family, bytes);
        if ((size_t)n < head + sizeof packet) {
            continue;
        }
        memcpy(&packet, bytes + head, sizeof packet);
        if (is_ours(p, family, &packet)) {
            uint64_t now = stamp_of(&message);
            out->seq = ntohs(packet.seq);
            out->seconds = now > packet.sent_ns ? (double)(now - packet.sent_ns) / 1e9 : 0;
            return true;
        }
    }
    return false;
}

void ping_close(struct ping *p) {
    for (int family = 0; family < PING_FAMILIES; family++) {
        if (p->fds[family] >= 0) {
            close(p->fds[family]);
        }
        p->fds[family] = -1;
    }
}
