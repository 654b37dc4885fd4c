#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "host/host.h"
#include "util/log.h"

int main(int argc, char **argv) {
    mallopt(M_ARENA_MAX, 1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log at its size limit is an error to report, not the end */
    struct host host;
    int code = host_open(&host) ? host_main(&host, argc, argv) : 70;
    host_end(&host);
    log_close(250);
    fflush(NULL);
    /* Not exit(): libuv's destructor joins its threads, and one of them may hang on a dead disk. */
    _exit(code);
}
