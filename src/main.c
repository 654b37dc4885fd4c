#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "host/host.h"

int main(int argc, char **argv) {
    mallopt(M_ARENA_MAX, 1);
    signal(SIGPIPE, SIG_IGN);
    struct host host;
    int code = host_open(&host) ? host_main(&host, argc, argv) : 70;
    fflush(NULL);
    /* Not exit(): libuv's destructor joins its threads, and one of them may hang on a dead disk. */
    _exit(code);
}
