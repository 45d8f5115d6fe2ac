/*
 * memory/invalid: what happens at an address that a process may not use, and what does it cost?
 *
 * One operation is one access, up to the end of the signal that it brings: the handler leaves by longjmp, as a program does that goes on.
 *   read_null, write_null, call_null  address 0, where nothing is mapped
 *   write_text                        a byte of the program's own instructions
 *   run_data                          instructions that lie in memory for data
 *   read_kernel                       the upper half of the address space, which is the system's
 *   raise                             no fault: the same signal, sent by a system call. What a signal alone costs
 *   allowed                           a read and a write of data, a read of instructions, and a call: the control, without any signal
 * Excluded:  setting up the handler. A setjmp is part of each operation, also of the control.
 * Expect:    guest of an AMD EPYC, Linux 6.18: 2700 to 3750 ns for a null pointer, 3200 for a signal that the process sends itself.
 * Hazards:   a handler that returns would meet the fault again. vm.mmap_min_addr=0 lets root map address 0, but maps nothing. The handler
 *            belongs to the whole process. A fault of somebody else meanwhile is left to the action that was there before.
 * Not shown: what the same access costs where it ends the process; SIGBUS beyond the end of a file; protection keys.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

enum { READ_NULL, WRITE_NULL, CALL_NULL, WRITE_TEXT, RUN_DATA, READ_KERNEL, RAISE, ALLOWED };
enum { SIGNALS_PER_ACCESS };

/* 2 GiB below the end: the system's on all three architectures, whatever the width of their addresses. On x86-64 the kernel itself is there. */
#define KERNEL_ADDRESS (UINTPTR_MAX << 31)
/* So many that one too many or too few shows. */
#define COUNTED_ACCESSES 64

/* The access is the point: no instrumentation may look at the address first. */
#define BARE __attribute__((noinline, no_sanitize("address"), no_sanitize("undefined"), no_sanitize_thread))

struct attempts {
    jmp_buf back;
    unsigned char *data; /* a page */
    uint64_t made, passed, signals, elsewhere;
    uintptr_t address; /* of the access under way; 0 is one too */
    struct sigaction before;
    int handled; /* the handler is ours */
};

/* Of this thread, while it tries. */
static __thread struct attempts *trying;
static struct sigaction found; /* what was there before: for faults of others */

static void handle(int number, siginfo_t *about, void *context)
{
    struct attempts *attempts = trying;

    (void)context;
    if (!attempts) { /* not one of these: it happens again, and is somebody else's then */
        sigaction(number, &found, NULL);
        return;
    }
    attempts->signals++;
    /* A kernel's address is told by some systems and hidden by others; a signal that was sent has none. */
    attempts->elsewhere +=
        about->si_code > 0 && attempts->address != KERNEL_ADDRESS && (uintptr_t)about->si_addr != attempts->address;
    longjmp(attempts->back, 1);
}

static BARE void nothing(void)
{
    __asm__ volatile("");
}

static void (*function_at(uintptr_t address))(void)
{
    void (*function)(void);

    memcpy(&function, &address, sizeof function);
    return function;
}

static uintptr_t address_of(void (*function)(void))
{
    uintptr_t address;

    memcpy(&address, &function, sizeof address);
    return address;
}

static BARE void allowed(const struct attempts *attempts)
{
    *(volatile unsigned char *)attempts->data = *(volatile unsigned char *)attempts->data;
    (void)*(volatile const unsigned char *)address_of(nothing);
    nothing();
}

static BARE void access_once(struct attempts *attempts, int access)
{
    volatile unsigned char *at = (volatile unsigned char *)attempts->address;

    OPAQUE(at);
    switch (access) {
    case READ_NULL:
    case READ_KERNEL:
        (void)*at;
        return;
    case WRITE_NULL:
        *at = 0;
        return;
    case WRITE_TEXT: /* what is there already: where it is let through, it breaks nothing */
        *at = *at;
        return;
    case CALL_NULL:
    case RUN_DATA:
        function_at((uintptr_t)at)();
        return;
    case RAISE:
        pthread_kill(pthread_self(), SIGSEGV);
        return;
    default:
        allowed(attempts);
    }
}

static BARE void try_once(struct attempts *attempts, int access)
{
    attempts->made++;
    trying = attempts;
    if (setjmp(attempts->back) == 0) {
        access_once(attempts, access);
        attempts->passed++;
    }
    trying = NULL;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct attempts *attempts = worker->trial->state;
    const int access = (int)worker->trial->value[0];

    for (uint64_t i = 0; i < operations; i++)
        try_once(attempts, access);
}

/* The instruction that returns, in memory that may be written to and not be executed. 0 or -errno. */
static int make_data(struct attempts *attempts)
{
#if defined(HAS_X86_64)
    static const unsigned char back[] = {0xc3};
#elif defined(HAS_AARCH64)
    static const unsigned char back[] = {0xc0, 0x03, 0x5f, 0xd6};
#elif defined(HAS_RISCV64)
    static const unsigned char back[] = {0x67, 0x80, 0x00, 0x00};
#else
    static const unsigned char back[] = {0};
#endif
    attempts->data = private_pages((size_t)sysconf(_SC_PAGESIZE), 0);
    if (!attempts->data)
        return -errno;
    memcpy(attempts->data, back, sizeof back);
    __builtin___clear_cache((char *)attempts->data, (char *)attempts->data + sizeof back);
    return 0;
}

static int setup(struct trial *trial)
{
    /* SA_NODEFER: the handler leaves by longjmp, which would leave the signal blocked. */
    struct sigaction ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct attempts *attempts = trial_alloc(trial, sizeof *attempts);
    const int access = (int)trial->value[0];
    int status;

    if (!attempts)
        return -ENOMEM;
    if (SANITIZED) /* their handler comes first, and a longjmp out of it is not theirs */
        return trial_needs(trial, "an engine without sanitizers");
    status = make_data(attempts);
    if (status)
        return status;
    attempts->address = access == WRITE_TEXT    ? address_of(nothing)
                        : access == RUN_DATA    ? (uintptr_t)attempts->data
                        : access == READ_KERNEL ? KERNEL_ADDRESS
                                                : 0;
    if (sigaction(SIGSEGV, &ours, &attempts->before))
        return -errno;
    found = attempts->before;
    attempts->handled = 1;
    try_once(attempts, access);
    return 0;
}

/* Each access ended as it has to, at its own address, and every signal is accounted for. */
static int check(struct trial *trial)
{
    const int access = (int)trial->value[0];
    struct attempts *attempts = trial->state;
    const uint64_t made = attempts->made, signals = attempts->signals;

    if (attempts->signals + attempts->passed != made)
        return trial_fault(trial, "%" PRIu64 " signals and %" PRIu64 " accesses without one, of %" PRIu64, signals,
                           attempts->passed, made);
    if (attempts->elsewhere)
        return trial_fault(trial, "%" PRIu64 " signals of another address", attempts->elsewhere);
    trial->metric[SIGNALS_PER_ACCESS] = (double)signals / (double)made;
    for (int i = 0; i < COUNTED_ACCESSES; i++)
        try_once(attempts, access);
    trial_count(trial, 0, (int64_t)(attempts->signals - signals), access == ALLOWED ? 0 : COUNTED_ACCESSES);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct attempts *attempts = trial->state;

    if (!attempts)
        return;
    trying = NULL;
    if (attempts->handled)
        sigaction(SIGSEGV, &attempts->before, NULL);
    if (attempts->data)
        munmap(attempts->data, (size_t)sysconf(_SC_PAGESIZE));
}

KERNEL(invalid,
    .name       = "memory/invalid",
    .summary    = "a process uses an address that it may not use, and goes on after the signal",
    .unit       = "access",
    .threads    = { .min = 1, .max = 1 },
    .subject    = FLAG_FAULTED,
    .parameters = { { .name = "access", .summary = "what it does where", .initial = READ_NULL,
                      .labels = "read_null write_null call_null write_text run_data read_kernel raise allowed",
                      .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [SIGNALS_PER_ACCESS] = { "signals_per_access", "per access", "signals that the accesses brought" } },
    .counts     = { { "signals", "signals", "SIGSEGV of 64 accesses, counted beside the timing" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
