#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#include "host/host.h"

int main(int argc, char **argv) {
    mallopt(M_ARENA_MAX, 1);
    signal(SIGPIPE, SIG_IGN);
    struct host host;
    int code = host_open(&host) ? host_main(&host, argc, argv) : 70;
    host_close(&host);
    return code;
}
