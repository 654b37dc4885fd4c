/* Invariant: a reply is good only if it repeats the cookie, and then its numbers are finite and
 * sane. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/ntp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t cookie[NTP_COOKIE] = "COOKIE!";
    struct ntp_sample sample;
    enum ntp_verdict verdict = ntp_judge(data, size, cookie, 1700000000.25, 1.5, &sample);
    if (verdict == NTP_GOOD) {
        if (size < NTP_PACKET || memcmp(data + 24, cookie, NTP_COOKIE) != 0) {
            abort();
        }
        if (!isfinite(sample.offset) || !(sample.delay >= 0 && sample.delay <= 1.5)) {
            abort();
        }
    }
    if (verdict == NTP_KISS && strlen(sample.kiss) != 4) {
        abort();
    }
    return 0;
}
