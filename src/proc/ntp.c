#include "proc/ntp.h"

#include <math.h>
#include <string.h>

#define UNIX_EPOCH 2208988800u /* 1970 in NTP's seconds since 1900 */
#define FRACTION   4294967296.0

enum { LEAP_UNKNOWN = 3, MODE_CLIENT = 3, MODE_SERVER = 4, VERSION = 4, MAX_STRATUM = 15 };
enum { AT_ROOT_DELAY = 4, AT_ROOT_DISPERSION = 8, AT_REFERENCE_ID = 12 };
enum { AT_ORIGIN = 24, AT_RECEIVE = 32, AT_TRANSMIT = 40 };

/* RFC 5905 §7.3, MAXDISP: a root farther away than this is none. */
static const double max_distance = 16.0;

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t read_u64(const uint8_t *p) {
    return (uint64_t)read_u32(p) << 32 | read_u32(p + 4);
}

/* NTP's short format: 16 bits of seconds, 16 of fraction. */
static double read_short(const uint8_t *p) {
    return read_u32(p) / 65536.0;
}

/* Seconds since 1900 modulo 2^32, as on the wire. */
static uint64_t timestamp(double unix_seconds) {
    double whole = floor(unix_seconds);
    uint64_t seconds = (uint64_t)(int64_t)whole + UNIX_EPOCH;
    return seconds << 32 | (uint64_t)((unix_seconds - whole) * FRACTION);
}

/* a - b in seconds. The signed difference of the 64-bit values holds across the era that ends in
 * 2036. */
static double between(uint64_t a, uint64_t b) {
    return (double)(int64_t)(a - b) / FRACTION;
}

void ntp_request(uint8_t packet[NTP_PACKET], const uint8_t cookie[NTP_COOKIE]) {
    memset(packet, 0, NTP_PACKET);
    packet[0] = VERSION << 3 | MODE_CLIENT;
    memcpy(packet + AT_TRANSMIT, cookie, NTP_COOKIE);
}

/* Four ASCII characters by RFC 5905 §7.4; anything else is shown as dots. */
static void read_kiss(const uint8_t *id, char kiss[5]) {
    for (int i = 0; i < 4; i++) {
        kiss[i] = id[i] > 0x20 && id[i] < 0x7f ? (char)id[i] : '.';
    }
    kiss[4] = '\0';
}

static enum ntp_verdict measure(const uint8_t *bytes, double sent, double elapsed,
                                struct ntp_sample *sample) {
    uint64_t received = read_u64(bytes + AT_RECEIVE);
    uint64_t transmitted = read_u64(bytes + AT_TRANSMIT);
    double root_delay = read_short(bytes + AT_ROOT_DELAY);
    double root_dispersion = read_short(bytes + AT_ROOT_DISPERSION);
    double held = between(transmitted, received);
    if (!transmitted || !received || held < 0 || held > elapsed + 0.001 ||
        root_delay / 2 + root_dispersion >= max_distance) {
        return NTP_INSANE;
    }
    uint64_t t1 = timestamp(sent);
    /* RFC 5905 §8: offset = ((T2 - T1) + (T3 - T4)) / 2, delay = (T4 - T1) - (T3 - T2), with T4
     * taken from the monotonic clock: a step of the wall clock in between falsifies nothing. */
    sample->offset = (between(received, t1) + between(transmitted, t1) - elapsed) / 2;
    sample->delay = elapsed > held ? elapsed - held : 0;
    return NTP_GOOD;
}

enum ntp_verdict ntp_judge(const uint8_t *bytes, size_t len, const uint8_t cookie[NTP_COOKIE],
                           double sent, double elapsed, struct ntp_sample *sample) {
    memset(sample, 0, sizeof *sample);
    if (len < NTP_PACKET) {
        return NTP_SHORT;
    }
    unsigned leap = bytes[0] >> 6, version = bytes[0] >> 3 & 7, mode = bytes[0] & 7;
    if (mode != MODE_SERVER || version < 3 || version > VERSION) {
        return NTP_NOT_A_REPLY;
    }
    if (memcmp(bytes + AT_ORIGIN, cookie, NTP_COOKIE) != 0) {
        return NTP_STRANGER;
    }
    sample->stratum = bytes[1];
    if (sample->stratum == 0) {
        read_kiss(bytes + AT_REFERENCE_ID, sample->kiss);
        return NTP_KISS;
    }
    if (leap == LEAP_UNKNOWN || sample->stratum > MAX_STRATUM) {
        return NTP_UNSYNCHRONIZED;
    }
    return measure(bytes, sent, elapsed, sample);
}
