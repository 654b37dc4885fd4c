#include "guard/guard.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc before 2.38 has no name for it */
#endif

/* Static, because a signal handler is handed nothing; there is one guarded thread in a process.
 * `since` is written before `current`, both in the thread that the signal interrupts. */
static volatile sig_atomic_t current;
static volatile sig_atomic_t armed;
static volatile uint64_t since_ns;
static uint64_t bound_ns;
static timer_t timer;

static size_t append_text(char *to, size_t at, const char *text) {
    while (*text) {
        to[at++] = *text++;
    }
    return at;
}

static size_t append_number(char *to, size_t at, uint64_t n) {
    char digits[20];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (len) {
        to[at++] = digits[--len];
    }
    return at;
}

/* Only what a signal handler may call. */
static void end_process(const char *why, uint64_t number, const char *unit) {
    char line[160];
    size_t n = append_text(line, 0, "guard: ");
    n = append_number(line, n, (uint64_t)current);
    n = append_text(line, n, why);
    n = append_number(line, n, number);
    n = append_text(line, n, unit);
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
    _exit(GUARD_STATUS);
}

static void arm(uint64_t ns) {
    struct itimerspec in = {
        .it_value = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}};
    armed = timer_settime(timer, 0, &in, NULL) == 0;
}

static void on_alarm(int sig) {
    (void)sig;
    if (!current) {
        armed = 0;
        return;
    }
    uint64_t now = clock_mono_ns();
    uint64_t late = since_ns + bound_ns;
    if (now >= late) {
        end_process(": did not come back within ", bound_ns / 1000000, " ms\n");
    }
    arm(late - now);
}

static void on_death(int sig) {
    if (current) {
        end_process(": died of signal ", (uint64_t)sig, "\n");
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

static void handle(int sig, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigfillset(&action.sa_mask);
    sigaction(sig, &action, NULL);
}

/* A stack that overflowed can't run the handler that says so. */
static void own_stack(void) {
    static char stack[16384];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&own, NULL);
}

bool guard_start(uint32_t bound_ms) {
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    bound_ns = (uint64_t)bound_ms * 1000000;
    own_stack();
    handle(SIGALRM, on_alarm, SA_RESTART | SA_ONSTACK);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        handle(deadly[i], on_death, SA_ONSTACK);
    }
    return timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

void guard_enter(uint32_t id) {
    since_ns = clock_mono_ns();
    current = (sig_atomic_t)id;
    if (!armed) {
        arm(bound_ns);
    }
}

void guard_leave(void) {
    current = 0;
}
