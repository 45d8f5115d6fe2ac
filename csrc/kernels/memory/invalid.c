/*
 * memory/invalid: what happens at an address that a process may not use, and what does it cost?
 *
 * One operation is one access, up to the end of the signal that it brings. The handler leaves by longjmp, as in a
 * program that goes on.
 *   read_null, write_null, call_null  address 0, where nothing is mapped
 *   write_text                        a byte of the program's own instructions
 *   run_data                          instructions that lie in memory for data
 *   read_kernel                       the upper half of the address space, which is the system's
 *   raise                             no fault: the same signal, sent by a system call. It shows the cost of a signal
 *                                     alone
 *   allowed                           a read and a write of data, a read of instructions, and a call: the control,
 *                                     without any signal
 * Excluded:  setting up the handler. A setjmp is part of each operation, also of the control.
 * Expect:    guest of an AMD EPYC, Linux 6.18: 2700 to 3750 ns for a null pointer, 3200 for a signal that the process
 *            sends itself.
 * Hazards:   a handler that returns would meet the fault again. vm.mmap_min_addr=0 lets root map address 0, but maps
 *            nothing. The handler belongs to the whole process. A fault of other code meanwhile goes to the action that
 *            was there before.
 * Not shown: the cost of the same access where it ends the process, SIGBUS beyond the end of a file, protection keys.
 */
#define _GNU_SOURCE
#include "kernels/attempts.h"

#include <pthread.h>

enum { READ_NULL, WRITE_NULL, CALL_NULL, WRITE_TEXT, RUN_DATA, READ_KERNEL, RAISE, ALLOWED };
enum { SIGNALS_PER_ACCESS };

/* So many that one too many or too few shows. */
#define COUNTED_ACCESSES 64

struct accesses {
    struct attempts attempts;
    unsigned char *data; /* a page */
};

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

static BARE void allowed(const struct accesses *accesses)
{
    *(volatile unsigned char *)accesses->data = *(volatile unsigned char *)accesses->data;
    (void)*(volatile const unsigned char *)address_of(nothing);
    nothing();
}

static BARE void access_once(const struct accesses *accesses, int access)
{
    volatile unsigned char *at = (volatile unsigned char *)accesses->attempts.address;

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
        allowed(accesses);
    }
}

static BARE void try_once(struct accesses *accesses, int access)
{
    ATTEMPT(&accesses->attempts, access_once, accesses, access);
}

static void run(struct worker *worker, uint64_t operations)
{
    struct accesses *accesses = worker->trial->state;
    const int access = (int)worker->trial->value[0];

    for (uint64_t i = 0; i < operations; i++)
        try_once(accesses, access);
}

/* The instruction that returns, in memory that may be written to and not be executed. 0 or -errno. */
static int make_data(struct accesses *accesses)
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
    accesses->data = private_pages((size_t)sysconf(_SC_PAGESIZE), 0);
    if (!accesses->data)
        return -errno;
    memcpy(accesses->data, back, sizeof back);
    __builtin___clear_cache((char *)accesses->data, (char *)accesses->data + sizeof back);
    return 0;
}

static int setup(struct trial *trial)
{
    struct accesses *accesses = trial_alloc(trial, sizeof *accesses);
    const int access = (int)trial->value[0];
    int status;

    if (!accesses)
        return -ENOMEM;
    status = make_data(accesses);
    if (status)
        return status;
    accesses->attempts.address = access == WRITE_TEXT    ? address_of(nothing)
                                 : access == RUN_DATA    ? (uintptr_t)accesses->data
                                 : access == READ_KERNEL ? KERNEL_ADDRESS
                                                         : 0;
    status = attempts_begin(trial, &accesses->attempts);
    if (!status)
        try_once(accesses, access);
    return status;
}

/* Each access ended as it has to, at its own address, and every signal is accounted for. */
static int check(struct trial *trial)
{
    const int access = (int)trial->value[0];
    struct accesses *accesses = trial->state;
    const struct attempts *attempts = &accesses->attempts;
    const uint64_t made = attempts->made, signals = attempts->signals;

    if (attempts->signals + attempts->passed != made)
        return trial_fault(trial, "%" PRIu64 " signals and %" PRIu64 " accesses without one, of %" PRIu64, signals,
                           attempts->passed, made);
    if (attempts->elsewhere)
        return trial_fault(trial, "%" PRIu64 " signals of another address", attempts->elsewhere);
    trial->metric[SIGNALS_PER_ACCESS] = (double)signals / (double)made;
    for (int i = 0; i < COUNTED_ACCESSES; i++)
        try_once(accesses, access);
    trial_count(trial, 0, (int64_t)(attempts->signals - signals), access == ALLOWED ? 0 : COUNTED_ACCESSES);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct accesses *accesses = trial->state;

    if (!accesses)
        return;
    attempts_end(&accesses->attempts);
    if (accesses->data)
        munmap(accesses->data, (size_t)sysconf(_SC_PAGESIZE));
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
