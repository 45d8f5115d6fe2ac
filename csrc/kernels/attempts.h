/*
 * Attempts that may end in a signal: an access or an instruction that Linux does not allow. The handler leaves by
 * longjmp, as in a program that goes on. It belongs to the whole process. A fault of other code meanwhile goes to the
 * action that was there before.
 */
#ifndef FENCEPOST_ATTEMPTS_H
#define FENCEPOST_ATTEMPTS_H

#include <setjmp.h>
#include <signal.h>

#include "kernels/system.h"

/* 2 GiB below the end: the system's on all three architectures, whatever the width of their addresses. On x86-64 the kernel itself is there. */
#define KERNEL_ADDRESS (UINTPTR_MAX << 31)

/* No instrumentation may look at an address before it is used: the access is the point. */
#define BARE __attribute__((noinline, no_sanitize("address"), no_sanitize("undefined"), no_sanitize_thread))

struct attempts {
    jmp_buf back;
    uint64_t made, passed, signals, elsewhere;
    uintptr_t address; /* of the access under way. 0 is one too */
    int anywhere;      /* what is tried has no address */
    struct sigaction before;
    int handled; /* the handler is ours */
};

/* Of this thread, while it tries. */
static __thread struct attempts *attempts_trying;
static struct sigaction attempts_found; /* what was there before: for faults of others */

static void attempts_handle(int number, siginfo_t *about, void *context)
{
    struct attempts *attempts = attempts_trying;

    (void)context;
    if (!attempts) { /* not one of these: it happens again, and is somebody else's then */
        sigaction(number, &attempts_found, NULL);
        return;
    }
    attempts->signals++;
    /* Some systems tell an address of Linux, and others hide it. A signal that was sent has none. */
    attempts->elsewhere += !attempts->anywhere && about->si_code > 0 && attempts->address != KERNEL_ADDRESS &&
                           (uintptr_t)about->si_addr != attempts->address;
    longjmp(attempts->back, 1);
}

/* From now on SIGSEGV is handled here. 0 or -errno: trial_needs() under sanitizers, whose handler comes first. */
static inline int attempts_begin(struct trial *trial, struct attempts *attempts)
{
    /* SA_NODEFER: the handler leaves by longjmp, which would leave the signal blocked. */
    struct sigaction ours = {.sa_sigaction = attempts_handle, .sa_flags = SA_SIGINFO | SA_NODEFER};

    if (SANITIZED)
        return trial_needs(trial, "an engine without sanitizers");
    if (sigaction(SIGSEGV, &ours, &attempts->before))
        return -errno;
    attempts_found = attempts->before;
    attempts->handled = 1;
    return 0;
}

static inline void attempts_end(struct attempts *attempts)
{
    attempts_trying = NULL;
    if (attempts->handled)
        sigaction(SIGSEGV, &attempts->before, NULL);
}

/* Try `act` with these arguments. It ends, or its signal does. */
#define ATTEMPT(attempts, act, ...)                                                                                    \
    do {                                                                                                               \
        (attempts)->made++;                                                                                            \
        attempts_trying = (attempts);                                                                                  \
        if (setjmp((attempts)->back) == 0) {                                                                           \
            act(__VA_ARGS__);                                                                                          \
            (attempts)->passed++;                                                                                      \
        }                                                                                                              \
        attempts_trying = NULL;                                                                                        \
    } while (0)

#endif
