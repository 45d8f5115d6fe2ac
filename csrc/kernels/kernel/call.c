/*
 * kernel/call: what does it cost to enter Linux and to come back?
 *
 * One operation is one call that does next to nothing where it arrives.
 *   empty         a function of this program: the control, and the floor
 *   vdso          clock_gettime(CLOCK_MONOTONIC_COARSE) of libc: a function that Linux puts into each process, which
 *                 never enters it
 *   bad_raw       a number that no system call has, by the processor's instruction
 *   bad_libc      the same by syscall(2), which turns the answer into errno
 *   getppid_raw   the number of the parent process, by the instruction
 *   getppid_libc  the same by getppid(3)
 *   exit          cpuid, an instruction at which a guest stops until its hypervisor has answered. It does not enter the
 *                 guest's Linux
 * Excluded:  reading the answers of the calls, beyond one comparison.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a call: empty 2.6, vdso 9, bad_raw 97, bad_libc 115. There
 *            getppid_raw is 175, getppid_libc 192 to 260, exit 4570. On bare metal cpuid takes some 100 cycles, and is
 *            not measured.
 * Hazards:   mitigations for faults of processors make each entry dearer. The machine facts name them. Seccomp filters
 *            run at each entry, and may answer before Linux does. Linux itself counts entries beside the timing
 *            (entering_pct). A call that enters and should not fails the case, and so does one that should enter and
 *            does not.
 * Not shown: calls that do something, and the caches and predictions that an entry costs the program afterwards.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#if HAS_X86_64
#include <cpuid.h>
#endif

enum { EMPTY, VDSO, BAD_RAW, BAD_LIBC, GETPPID_RAW, GETPPID_LIBC, EXIT, CALLS };
enum { ENTERING_PCT, FILTERS };

/* No system has a call of this number: Linux answers ENOSYS. */
#define NO_CALL (-1L)
/* So many that one that does otherwise shows. */
#define COUNTED_CALLS 64

#ifndef PR_SET_SYSCALL_USER_DISPATCH /* headers older than Linux 5.11 lack them. The numbers are the same everywhere */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#define SYSCALL_DISPATCH_FILTER_ALLOW 0
#define SYSCALL_DISPATCH_FILTER_BLOCK 1
#endif

/* What is added to `right` where a call answered as it has to. */
struct calls {
    uint64_t made, right;
    long parent;
    unsigned leaves; /* what cpuid answers */
};

#if HAS_X86_64
static inline long raw_call(long number)
{
    long answer;

    __asm__ volatile("syscall" : "=a"(answer) : "0"(number) : "rcx", "r11", "memory");
    return answer;
}
#elif defined(__aarch64__)
static inline long raw_call(long number)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0");

    __asm__ volatile("svc 0" : "=r"(x0) : "r"(x8) : "memory");
    return x0;
}
#elif defined(__riscv)
static inline long raw_call(long number)
{
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0");

    __asm__ volatile("ecall" : "=r"(a0) : "r"(a7) : "memory");
    return a0;
}
#else
#define raw_call(number) (-ENOTSUP)
#endif

static __attribute__((noinline)) long empty_function(long number)
{
    OPAQUE(number);
    return number;
}

static inline int read_coarse_clock(void)
{
    struct timespec now = {0, -1};

    return clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 && now.tv_nsec >= 0;
}

/* A bad number by libc: -1, and the rest in errno. */
static inline int refused_by_libc(void)
{
    return syscall(NO_CALL) == -1 && errno == ENOSYS;
}

static inline unsigned leave_guest(void)
{
#if HAS_X86_64
    unsigned leaves, ebx, ecx, edx;

    __cpuid(0, leaves, ebx, ecx, edx);
    OPAQUE(leaves);
    return leaves;
#else
    return 0;
#endif
}

/* Each loop has its own call in it: nothing is looked up inside. */
#define LOOP(name, answered)                                                                                           \
    static void loop_##name(struct worker *worker, uint64_t operations)                                                \
    {                                                                                                                  \
        struct calls *calls = worker->trial->state;                                                                    \
        const long parent = calls->parent;                                                                             \
        const unsigned leaves = calls->leaves;                                                                         \
        uint64_t right = 0;                                                                                            \
                                                                                                                       \
        (void)parent;                                                                                                  \
        (void)leaves;                                                                                                  \
        for (uint64_t i = 0; i < operations; i++)                                                                      \
            right += (answered);                                                                                       \
        calls->made += operations;                                                                                     \
        calls->right += right;                                                                                         \
    }

LOOP(empty, empty_function(parent) == parent)
LOOP(vdso, read_coarse_clock())
LOOP(bad_raw, raw_call(NO_CALL) == -ENOSYS)
LOOP(bad_libc, refused_by_libc())
LOOP(getppid_raw, raw_call(SYS_getppid) == parent)
LOOP(getppid_libc, getppid() == parent)
LOOP(exit, leave_guest() == leaves)

static void (*const loops[CALLS])(struct worker *worker, uint64_t operations) = {
    loop_empty, loop_vdso, loop_bad_raw, loop_bad_libc, loop_getppid_raw, loop_getppid_libc, loop_exit};

/* Bit 31 of ECX: no processor sets it, hypervisors do. */
static int virtual_machine(void)
{
#if HAS_X86_64
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx >> 31 & 1);
#else
    return 0;
#endif
}

/* ---- who enters: with this dispatch on, Linux sends SIGSYS at an entry, instead of doing what it asks for ---- */

static volatile char dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
static volatile sig_atomic_t entries;

static void note_entry(int number)
{
    (void)number;
    dispatch =
        SYSCALL_DISPATCH_FILTER_ALLOW; /* the handler's own way back is an entry too, and whatever the call does next */
    entries++;
}

/* Per cent of COUNTED_CALLS that entered. NaN if the system cannot tell. */
static double look_who_enters(struct trial *trial)
{
    struct calls *calls = trial->state;
    const struct calls kept = *calls;
    const struct sigaction ours = {.sa_handler = note_entry};
    struct sigaction found;
    struct worker worker = {.trial = trial, .team_size = 1};

    if (SANITIZED || sigaction(SIGSYS, &ours, &found))
        return NAN;
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0L, 0L, &dispatch)) {
        sigaction(SIGSYS, &found, NULL);
        return NAN;
    }
    entries = 0;
    for (int i = 0; i < COUNTED_CALLS; i++) {
        dispatch = SYSCALL_DISPATCH_FILTER_BLOCK;
        trial->run(&worker, 1);
        dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
    }
    prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0L, 0L, 0L);
    sigaction(SIGSYS, &found, NULL);
    *calls = kept; /* these were not answered */
    return 100.0 * entries / COUNTED_CALLS;
}

static int setup(struct trial *trial)
{
    struct calls *calls = trial_alloc(trial, sizeof *calls);
    struct worker worker = {.trial = trial, .team_size = 1};
    const int64_t call = trial->value[0];

    if (!calls)
        return -ENOMEM;
    if (call == EXIT && !virtual_machine())
        return trial_needs(trial, "a guest on x86-64: elsewhere cpuid has nobody to stop for");
    if ((call == BAD_RAW || call == GETPPID_RAW) && raw_call(SYS_getppid) == -ENOTSUP)
        return trial_needs(trial, "an architecture whose instruction for system calls is known here");
    calls->parent = getppid();
    calls->leaves = leave_guest();
    trial->run = loops[call];
    trial->run(&worker, 1);
    if (calls->right != calls->made && (call == BAD_RAW || call == BAD_LIBC))
        return trial_needs(trial, "Linux to answer a number that no call has (a filter of system calls did)");
    return 0;
}

/* Every call answered as it has to, and entered Linux or did not. */
static int check(struct trial *trial)
{
    const int64_t call = trial->value[0], filters = procfs_field("/proc/self/status", "Seccomp_filters");
    const double wanted = call == EMPTY || call == VDSO || call == EXIT ? 0 : 100;
    const struct calls *calls = trial->state;

    if (calls->right != calls->made)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " calls answered as they have to", calls->right,
                           calls->made);
    trial->metric[ENTERING_PCT] = look_who_enters(trial);
    if (filters >= 0)
        trial->metric[FILTERS] = (double)filters;
    if (trial->metric[ENTERING_PCT] < wanted || trial->metric[ENTERING_PCT] > wanted)
        return trial_fault(trial, "%g %% of calls entered Linux instead of %g %%", trial->metric[ENTERING_PCT], wanted);
    return 0;
}

KERNEL(call,
    .name       = "kernel/call",
    .summary    = "a program enters Linux and comes back, beside calls that do not enter it",
    .unit       = "call",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN | KERNEL_SOLE,
    .parameters = { { .name = "call", .summary = "what is called, and how", .initial = GETPPID_RAW,
                      .labels = "empty vdso bad_raw bad_libc getppid_raw getppid_libc exit",
                      .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [ENTERING_PCT] = { "entering_pct", "%", "calls that entered Linux, found beside the timing" },
                    [FILTERS]      = { "filters", "filters", "seccomp filters that look at each entry" } },
    .setup      = setup,
    .run        = loop_getppid_raw,
    .check      = check);
