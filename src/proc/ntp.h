/* The client side of NTPv4 (RFC 5905): one request, one reply. Pure: bytes and times in, a verdict
 * out. */
#ifndef AGENT_PROC_NTP_H
#define AGENT_PROC_NTP_H

#include <stddef.h>
#include <stdint.h>

enum { NTP_PACKET = 48, NTP_COOKIE = 8 };

enum ntp_verdict {
    NTP_GOOD,
    NTP_SHORT,          /* fewer than 48 bytes */
    NTP_NOT_A_REPLY,    /* mode or version isn't a server's answer */
    NTP_STRANGER,       /* the origin isn't our cookie: an answer to another, or a forged one */
    NTP_KISS,           /* kiss-o'-death, its code in `kiss` */
    NTP_UNSYNCHRONIZED, /* the server says so itself: leap 3, or a stratum outside 1..15 */
    NTP_INSANE          /* times or distances that no working server sends */
};

struct ntp_sample {
    double offset; /* seconds, positive: the server is ahead */
    double delay;  /* seconds on the way there and back */
    unsigned stratum;
    char kiss[5]; /* only with NTP_KISS */
};

/* Writes a request. The cookie stands where a client's time would: only an answer to this very
 * request can repeat it, and the server learns nothing about our clock. */
void ntp_request(uint8_t packet[NTP_PACKET], const uint8_t cookie[NTP_COOKIE]);

/* Judges a datagram. `sent` is the wall clock in unix seconds at the request, `elapsed` the
 * monotonic time until the reply. `sample` is filled in as far as the verdict allows. */
enum ntp_verdict ntp_judge(const uint8_t *bytes, size_t len, const uint8_t cookie[NTP_COOKIE],
                           double sent, double elapsed, struct ntp_sample *sample);

#endif
