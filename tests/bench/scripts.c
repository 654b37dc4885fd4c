/* What the kernel and bash alone cost: only forks (vfork) and executes the scripts that the agent
 * runs, each every INTERVAL ms at a phase of its own, its output to /dev/null, for so many SECONDS.
 * usage: scripts INTERVAL_MS SECONDS SCRIPT... */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_until(double ms) {
    double left = ms - now_ms();
    if (left > 0) {
        struct timespec t = {(time_t)(left / 1e3), (long)(left * 1e6) % 1000000000L};
        nanosleep(&t, NULL);
    }
}

static void start(const char *script) {
    char *const argv[] = {"bash", (char *)script, NULL};
    /* What plugins get: with LANG bash loads a locale, which takes it a tenth longer. */
    char *const envp[] = {"AGENT_NS=bench.loda",
                          "AGENT_PLUGIN=p1",
                          "AGENT_INTERVAL=10",
                          "HOME=/tmp",
                          "LANG=C.UTF-8",
                          "PATH=/usr/bin:/bin",
                          NULL};
    pid_t pid = vfork(); /* NOLINT: its cost is what is measured */
    if (pid == 0) {
        execve("/bin/bash", argv, envp);
        _exit(127);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: scripts INTERVAL_MS SECONDS SCRIPT...\n");
        return 64;
    }
    double interval = atof(argv[1]), end = now_ms() + 1e3 * atof(argv[2]), began = now_ms();
    int scripts = argc - 3, null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    for (long i = 0;; i++) {
        double due = began + interval * (double)i / scripts;
        if (due > end) {
            break;
        }
        sleep_until(due);
        start(argv[3 + i % scripts]);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}
