/*
 * signal/send:    what does it cost that a thread sends itself a signal, by its response?
 * signal/install: and what does it cost to choose this response?
 *
 * One operation of signal/send is one signal, from the call that sends it to the end of its effect.
 *   check        the call with the number 0: it only looks whether the signal might be sent. The control
 *   ignored      nothing is done: Linux drops the signal
 *   sigwaitinfo  the thread has blocked it, and takes it by a call
 *   signalfd     the same by reading a file
 *   handler      a function is called, and returns
 *   fault        nobody sends: a page that may not be read brings a signal, whose function goes on behind the read
 * One operation of signal/install is one sigaction().
 * Excluded:  blocking, and making the file and the page.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns: ignored 1090, sigwaitinfo 1720, signalfd 2170, handler 3220, fault
 *            3200, sigaction 240.
 * Hazards:   the cost of a handler grows with the registers that are saved, such as those of AVX-512. lat_sig of
 *            lmbench subtracts `check`, which queues nothing. It takes a fault for a handler less something. Handlers
 *            belong to the whole process. The earlier handlers are put back.
 * Not shown: a signal for another thread of the process, many signals at once, alternate stacks.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { CHECK, IGNORED, SIGWAITINFO, SIGNALFD, HANDLER, FAULT };
enum { ENTRY_NS };

#define NUMBER SIGUSR1
/* So many that one too many or too few shows. */
#define COUNTED_SIGNALS 64

struct signals {
    uint64_t sent, taken, failed; /* taken by a call */
    pid_t process, thread;
    int file; /* -1: none */
    unsigned char *page;
    struct sigaction found;
    sigset_t found_blocked;
    int handled, blocked; /* the number whose action is ours, or 0, and whether the mask is */
};

/* Of this thread, while it measures. */
static __thread volatile uint64_t handled_here;
static __thread volatile uint64_t entered_ticks;
static __thread uintptr_t behind; /* the read that faults, or 0 */
static struct sigaction found_fault;

static void count_signal(int number)
{
    (void)number;
    handled_here++;
}

#if defined(__x86_64__)
#define PROGRAM_COUNTER(context) (context)->uc_mcontext.gregs[REG_RIP]
#elif defined(__aarch64__)
#define PROGRAM_COUNTER(context) (context)->uc_mcontext.pc
#elif defined(__riscv)
#define PROGRAM_COUNTER(context) (context)->uc_mcontext.__gregs[REG_PC]
#endif

/* It goes on behind the read, as a debugger or a collector of garbage does. */
static void skip_read(int number, siginfo_t *about, void *context)
{
    entered_ticks = tick_now();
    (void)about;
    if (!behind) { /* not that one: it happens again, and is somebody else's then */
        sigaction(number, &found_fault, NULL);
        return;
    }
    handled_here++;
#ifdef PROGRAM_COUNTER
    PROGRAM_COUNTER((ucontext_t *)context) = (__typeof__(PROGRAM_COUNTER((ucontext_t *)context)))behind;
#endif
}

/* A read between two labels, so that its handler knows where it ends. */
static __attribute__((noinline, no_sanitize("address"), no_sanitize_thread)) void read_page(const unsigned char *page)
{
#if defined(__x86_64__)
    __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, %0\n\tmovb (%1), %%al\n1:"
                     : "=m"(behind)
                     : "r"(page)
                     : "rax", "memory");
#elif defined(__aarch64__)
    __asm__ volatile("adr x9, 1f\n\tstr x9, %0\n\tldrb w9, [%1]\n1:" : "=m"(behind) : "r"(page) : "x9", "memory");
#elif defined(__riscv)
    __asm__ volatile("lla t0, 1f\n\tsd t0, %0\n\tlbu t0, 0(%1)\n1:" : "=m"(behind) : "r"(page) : "t0", "memory");
#else
    (void)page;
#endif
    behind = 0;
}

static inline int send(const struct signals *signals, int number)
{
    return syscall(SYS_tgkill, signals->process, signals->thread, number) != 0;
}

static void one_signal(struct signals *signals, int way)
{
    struct signalfd_siginfo told;
    siginfo_t about;
    sigset_t only;

    signals->sent++;
    switch (way) {
    case CHECK:
        signals->failed += send(signals, 0);
        return;
    case SIGWAITINFO:
        sigemptyset(&only);
        sigaddset(&only, NUMBER);
        signals->failed += send(signals, NUMBER);
        signals->taken += sigwaitinfo(&only, &about) == NUMBER;
        return;
    case SIGNALFD:
        signals->failed += send(signals, NUMBER);
        signals->taken += read(signals->file, &told, sizeof told) == sizeof told && told.ssi_signo == NUMBER;
        return;
    case FAULT:
        read_page(signals->page);
        return;
    default:
        signals->failed += send(signals, NUMBER);
    }
}

static void run(struct worker *worker, uint64_t operations)
{
    struct signals *signals = worker->trial->state;
    const int way = (int)worker->trial->value[0];

    for (uint64_t i = 0; i < operations; i++)
        one_signal(signals, way);
}

/* What is to be done about the signal. 0 or -errno. */
static int take_action(struct signals *signals, int way)
{
    struct sigaction ours = {.sa_handler = way == IGNORED ? SIG_IGN : count_signal};
    const int number = way == FAULT ? SIGSEGV : NUMBER;

    if (way == FAULT) {
        ours.sa_sigaction = skip_read;
        ours.sa_flags = SA_SIGINFO;
    }
    if (sigaction(number, &ours, &signals->found))
        return -errno;
    found_fault = signals->found;
    signals->handled = number;
    return 0;
}

static int block(struct signals *signals, int way)
{
    sigset_t only;

    sigemptyset(&only);
    sigaddset(&only, NUMBER);
    if (way == SIGWAITINFO || way == SIGNALFD) {
        signals->blocked = pthread_sigmask(SIG_BLOCK, &only, &signals->found_blocked) == 0;
        if (way == SIGNALFD)
            signals->file = signalfd(-1, &only, SFD_CLOEXEC);
        return way == SIGNALFD && signals->file < 0 ? -errno : 0;
    }
    /* Whoever started the suite may have blocked it. */
    signals->blocked = pthread_sigmask(SIG_UNBLOCK, &only, &signals->found_blocked) == 0;
    return 0;
}

static int setup(struct trial *trial)
{
    struct signals *signals = trial_alloc(trial, sizeof *signals);
    const int way = (int)trial->value[0];
    int status;

    if (!signals)
        return -ENOMEM;
    signals->file = -1;
    signals->process = getpid();
    signals->thread = (pid_t)syscall(SYS_gettid);
    handled_here = 0;
    if (SANITIZED && way == HANDLER)
        return trial_needs(trial, "a program whose handlers run at once: sanitizers keep signals for later");
#ifndef PROGRAM_COUNTER
    if (way == FAULT)
        return trial_needs(trial, "an architecture whose program counter a handler can move here");
#endif
    if (way == FAULT) {
        signals->page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (signals->page == MAP_FAILED) {
            signals->page = NULL;
            return -errno;
        }
    }
    status = take_action(signals, way);
    if (!status)
        status = block(signals, way);
    if (!status)
        one_signal(signals, way);
    return status;
}

/* Signals that came, of COUNTED_SIGNALS: by a call or by a handler. */
static int64_t count_signals(struct signals *signals, int way)
{
    const uint64_t before = signals->taken + handled_here;

    for (int i = 0; i < COUNTED_SIGNALS; i++)
        one_signal(signals, way);
    return (int64_t)(signals->taken + handled_here - before);
}

/* How long it takes until the handler runs, the median of some. NaN for signals without one. */
static double until_entered(const struct trial *trial, struct signals *signals, int way)
{
    double ticks[COUNTED_SIGNALS];

    if (way != FAULT)
        return NAN;
    for (int i = 0; i < COUNTED_SIGNALS; i++) {
        const uint64_t begin = tick_begin();

        one_signal(signals, way);
        ticks[i] = (double)(entered_ticks - begin) - trial->overhead_ticks;
    }
    return median_of(ticks, COUNTED_SIGNALS) / trial->tick_hz * 1e9;
}

/* Each signal that was sent came once, and none of those that nobody was to get. */
static int check(struct trial *trial)
{
    const int way = (int)trial->value[0], comes = way != CHECK && way != IGNORED;
    struct signals *signals = trial->state;
    const uint64_t came = signals->taken + handled_here;

    if (signals->failed)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " signals could not be sent", signals->failed,
                           signals->sent);
    if (came != (comes ? signals->sent : 0))
        return trial_fault(trial, "%" PRIu64 " signals came of %" PRIu64, came, signals->sent);
    trial_count(trial, 0, count_signals(signals, way), comes ? COUNTED_SIGNALS : 0);
    trial->metric[ENTRY_NS] = until_entered(trial, signals, way);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct signals *signals = trial->state;

    if (!signals)
        return;
    if (signals->handled)
        sigaction(signals->handled, &signals->found, NULL);
    if (signals->blocked)
        pthread_sigmask(SIG_SETMASK, &signals->found_blocked, NULL);
    if (signals->file >= 0)
        close(signals->file);
    if (signals->page)
        munmap(signals->page, (size_t)sysconf(_SC_PAGESIZE));
}

KERNEL(send,
    .name       = "signal/send",
    .summary    = "a thread sends itself a signal, up to the end of what that brings about",
    .unit       = "signal",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN | KERNEL_SOLE,
    .subject    = FLAG_FAULTED,
    .parameters = { { .name = "then", .summary = "what is done about it", .initial = HANDLER,
                      .labels = "check ignored sigwaitinfo signalfd handler fault",
                      .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [ENTRY_NS] = { "entry_ns", "ns", "of a fault: until the first instruction of its handler" } },
    .counts     = { { "signals", "signals", "that came of 64, counted beside the timing" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);

/* ---- signal/install ---- */

struct installs {
    struct sigaction found;
    uint64_t made, failed;
    int installed;
};

static void count_other(int number)
{
    (void)number;
    handled_here += 2;
}

static int install_setup(struct trial *trial)
{
    struct installs *installs = trial_alloc(trial, sizeof *installs);

    if (!installs)
        return -ENOMEM;
    if (sigaction(NUMBER, NULL, &installs->found))
        return -errno;
    installs->installed = 1;
    return 0;
}

/* Two actions in turn: an action that is there already might be told apart. */
static void install_run(struct worker *worker, uint64_t operations)
{
    struct installs *installs = worker->trial->state;
    const struct sigaction actions[] = {{.sa_handler = count_signal}, {.sa_handler = count_other}};

    for (uint64_t i = 0; i < operations; i++)
        installs->failed += sigaction(NUMBER, &actions[installs->made++ % 2], NULL) != 0;
}

/* The last one that was installed is the one that is there. */
static int install_check(struct trial *trial)
{
    const struct installs *installs = trial->state;
    struct sigaction there;

    if (installs->failed || !installs->made || sigaction(NUMBER, NULL, &there))
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " actions could not be installed", installs->failed,
                           installs->made);
    if (there.sa_handler != (installs->made % 2 ? count_signal : count_other))
        return trial_fault(trial, "another action is there than the last of %" PRIu64, installs->made);
    return 0;
}

static void install_teardown(struct trial *trial)
{
    const struct installs *installs = trial->state;

    if (installs && installs->installed)
        sigaction(NUMBER, &installs->found, NULL);
}

KERNEL(install,
    .name     = "signal/install",
    .summary  = "a process says which function handles a signal",
    .unit     = "call",
    .threads  = { .min = 1, .max = 1 },
    .setup    = install_setup,
    .flags    = KERNEL_SOLE,
    .run      = install_run,
    .check    = install_check,
    .teardown = install_teardown);
