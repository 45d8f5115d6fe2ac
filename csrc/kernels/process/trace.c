/*
 * process/trace: what does it cost a process that another one stops it at each system call?
 *
 * A child does a piece of work, and measures it by itself. One event is one operation of it, less its control. During
 * the operation its parent stops it by PTRACE_SYSCALL at the start and the end of each system call. The control is the
 * same work by the same child without a tracer. User Mode Linux runs its programs so.
 *   compute  1000 dependent multiplications, no system call
 *   call     one getppid
 *   io       64 bytes are written to a file in memory and read again: two system calls
 * Both processes share one CPU.
 * Excluded:  beginning and ending to trace.
 * Expect:    guest of an AMD EPYC, Linux 6.18: a stop costs 4000 ns. So a call takes 97 times as long, io 64 times, and
 *            compute 1.00 times.
 * Hazards:   stops are counted. There must be two for each call, or the case fails. Yama and seccomp forbid tracing on
 *            some systems.
 * Not shown: tracers on another CPU, whose waking dominates, seccomp and its notifications, and PTRACE_SYSEMU.
 */
#define _GNU_SOURCE
#include "kernels/other_process.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { COMPUTE, CALL, IO };
enum { SLOWDOWN, STOPS };

#define MULTIPLICATIONS 1000
#define PAIRS_A_BATCH 4
#define BATCHES 5
#define PIECE 64
/* For so long the child may be without its CPU. */
#define PATIENCE_NS 2000000000
/* 20 to 100 us of untraced work. */
static const unsigned operations[] = {[COMPUTE] = 50, [CALL] = 100, [IO] = 40};
static const unsigned calls[] = {[COMPUTE] = 0, [CALL] = 1, [IO] = 2};

/* In memory that both share. */
struct desk {
    _Atomic uint32_t ordered, done; /* pieces of work */
    _Atomic uint32_t at_work;       /* within what is timed */
    uint64_t ticks;
    uint64_t wrong;
    uint64_t product;
};

struct traces {
    struct desk *desk;
    pid_t other; /* 0: none */
    int file;    /* -1: none */
    uint64_t stops;
    double ticks[2][BATCHES * PAIRS_A_BATCH];
    unsigned made[2];
};

static void operate(struct desk *desk, int work, int file)
{
    char piece[PIECE] = "of a file in memory";
    uint64_t product = desk->product | 1;

    switch (work) {
    case COMPUTE:
        for (int i = 0; i < MULTIPLICATIONS; i++) {
            product *= product;
            OPAQUE(product);
        }
        desk->product = product;
        return;
    case CALL:
        desk->wrong += syscall(SYS_getppid) <= 0;
        return;
    default:
        desk->wrong += pwrite(file, piece, sizeof piece, 0) != sizeof piece;
        desk->wrong += pread(file, piece, sizeof piece, 0) != sizeof piece;
    }
}

/* The futex calls order what both sides read, relaxed or not. Acquire and release say so where no call may be made. */
static void wait_until(_Atomic uint32_t *word, uint32_t value)
{
    uint32_t now;

    while ((now = atomic_load_explicit(word, memory_order_acquire)) != value)
        syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void set(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The child, which never returns: a piece of work for each order. */
static void be_the_other(struct desk *desk, int work, int file)
{
    for (uint32_t piece = 1;; piece++) {
        uint64_t begin, end;

        wait_until(&desk->ordered, piece);
        atomic_store_explicit(&desk->at_work, 1, memory_order_release);
        begin = tick_begin();
        for (unsigned i = 0; i < operations[work]; i++)
            operate(desk, work, file);
        end = tick_end();
        atomic_store_explicit(&desk->at_work, 0, memory_order_release);
        desk->ticks = end - begin;
        set(&desk->done, piece);
    }
}

/* Wait for the piece that was ordered: 0, or -errno where the child has died. */
static int await_piece(struct trial *trial, struct traces *traces)
{
    const struct timespec moment = {0, 100000000};
    struct desk *desk = traces->desk;
    const uint64_t since = now_ns();
    uint32_t done;

    while ((done = atomic_load_explicit(&desk->done, memory_order_acquire)) !=
           atomic_load_explicit(&desk->ordered, memory_order_relaxed)) {
        syscall(SYS_futex, &desk->done, FUTEX_WAIT, done, &moment, NULL, 0);
        if (now_ns() - since > PATIENCE_NS)
            return trial_fault(trial, "the other process did not come to its work for 2 s");
    }
    return 0;
}

/* From stop to stop until the work is done, and no further. 0 or -errno. */
static int trace_piece(struct trial *trial, struct traces *traces)
{
    struct desk *desk = traces->desk;
    const uint32_t piece = atomic_load_explicit(&desk->ordered, memory_order_relaxed) + 1;
    int status, error;

    if (ptrace(PTRACE_SEIZE, traces->other, NULL, PTRACE_O_TRACESYSGOOD) ||
        ptrace(PTRACE_INTERRUPT, traces->other, NULL, NULL))
        return trial_needs(trial, NO_TRACING);
    error = other_stops(traces->other, &status);
    set(&desk->ordered, piece);
    while (!error && atomic_load_explicit(&desk->done, memory_order_acquire) != piece) {
        traces->stops += atomic_load_explicit(&desk->at_work, memory_order_acquire);
        if (ptrace(PTRACE_SYSCALL, traces->other, NULL, NULL))
            return -errno;
        error = other_stops(traces->other, &status);
    }
    if (error)
        return trial_fault(trial, "the traced process ended (status %d)", status);
    return ptrace(PTRACE_DETACH, traces->other, NULL, NULL) ? -errno : 0;
}

static int64_t piece(struct trial *trial, int64_t *ticks, int traced)
{
    struct traces *traces = trial->state;
    struct desk *desk = traces->desk;
    const unsigned count = operations[trial->value[0]];
    double took;
    int status;

    if (traced) {
        status = trace_piece(trial, traces);
    } else {
        set(&desk->ordered, atomic_load_explicit(&desk->ordered, memory_order_relaxed) + 1);
        status = await_piece(trial, traces);
    }
    if (status)
        return status;
    took = ((double)desk->ticks - trial->overhead_ticks) / count;
    traces->ticks[traced][traces->made[traced]++] = took;
    *ticks = llround(took);
    return 1;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count;
    return piece(worker->trial, ticks, 1);
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count;
    return piece(worker->trial, ticks, 0);
}

static int setup(struct trial *trial)
{
    struct traces *traces = trial_alloc(trial, sizeof *traces);
    int other;

    if (!traces)
        return -ENOMEM;
    traces->file = memfd_create("trace", MFD_CLOEXEC);
    if (traces->file < 0)
        return -errno;
    traces->desk = trial_alloc_shared(trial, sizeof *traces->desk);
    if (!traces->desk)
        return -ENOMEM;
    other = other_start(trial);
    if (other == 0)
        be_the_other(traces->desk, (int)trial->value[0], traces->file);
    if (other < 0)
        return other;
    traces->other = other;
    /* Once without a tracer: what a child first touches is copied. */
    set(&traces->desk->ordered, 1);
    return await_piece(trial, traces);
}

/* All of its calls did their work, and each had two stops. */
static int check(struct trial *trial)
{
    struct traces *traces = trial->state;
    const int work = (int)trial->value[0];

    if (traces->desk->wrong)
        return trial_fault(trial, "%" PRIu64 " system calls of the other process failed", traces->desk->wrong);
    trial_count(trial, 0, (int64_t)traces->stops, 2 * (int64_t)(traces->made[1] * operations[work] * calls[work]));
    trial->metric[SLOWDOWN] =
        median_of(traces->ticks[1], traces->made[1]) / median_of(traces->ticks[0], traces->made[0]);
    trial->metric[STOPS] = (double)traces->stops / (double)(traces->made[1] * operations[work]);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct traces *traces = trial->state;

    if (!traces)
        return;
    other_end(traces->other);
    if (traces->file >= 0)
        close(traces->file);
}

/* Seen 10 us a call that is traced. */
static uint64_t cost_ns(const struct trial *trial)
{
    const int work = (int)trial->value[0];

    return BATCHES * PAIRS_A_BATCH * (200000 + (uint64_t)operations[work] * calls[work] * 10000) + 5000000;
}

KERNEL(trace,
    .name             = "process/trace",
    .summary          = "a process works while another stops it at each system call, less the same work alone",
    .unit             = "operation",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "work", .summary = "of the traced process", .labels = "compute call io", .initial = CALL,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [SLOWDOWN] = { "slowdown", "1", "an operation with the tracer over one without" },
                          [STOPS]    = { "stops_per_operation", "per operation", "at system calls" } },
    .counts           = { { "stops", "stops", "at the system calls of all operations" } },
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
