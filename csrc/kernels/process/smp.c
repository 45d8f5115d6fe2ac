/*
 * process/smp: does each CPU run the kernel by itself, or one for all?
 *
 * Worker 0 makes system calls while worker 1 makes them on another CPU. Its control is worker 0 alone. One event is the
 * extra time of a call while worker 1 works, so it may be negative. Worker 0 times both, over CALLS of its calls. The
 * calls that worker 1 makes meanwhile are counted.
 *   call  getppid, which enters the kernel and leaves it again
 *   user  a loop in user mode that takes about as long. It shows whether both CPUs were free: the control
 * Excluded:  the calls that worker 1 makes before worker 0 begins and after it ends.
 * Expect:    the two make twice the calls of one. With a kernel that runs on one CPU only, they make those of one.
 * Hazards:   in a guest the host may give both CPUs one core. The row of `user` shows that.
 * Not shown: calls that take a lock, of which two CPUs make fewer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

enum { CALL, USER };
enum { TIMES_ONE };

/* 60 us. */
#define CALLS 400
#define MULTIPLICATIONS 200 /* as long as a call */
#define PAIRS_A_BATCH 5
#define BATCHES 3

struct desk {
    _Alignas(128) _Atomic uint64_t made; /* by worker 1, in all */
    _Alignas(128) _Atomic uint32_t stop; /* worker 1 has made enough */
    _Alignas(128) double alone_ticks, times[BATCHES * PAIRS_A_BATCH];
    double together_ticks, calls_together;
    uint64_t company; /* calls of worker 1 while worker 0 was timed, in all events */
    unsigned pairs;
    uint64_t wrong;
};

static int operate(int work)
{
    uint64_t product = 3;

    if (work == CALL)
        return syscall(SYS_getppid) >= 0; /* 0 where the parent is outside of a container */
    for (int i = 0; i < MULTIPLICATIONS; i++) {
        product *= product;
        OPAQUE(product);
    }
    return product & 1;
}

/* Ticks of one operation of worker 0. */
static double operations(struct trial *trial, struct desk *desk)
{
    const int work = (int)trial->value[0];
    const uint64_t begin = tick_begin();

    for (int i = 0; i < CALLS; i++)
        desk->wrong += !operate(work);
    return net_ticks(trial, begin, tick_end()) / CALLS;
}

/* Relaxed throughout: numbers that grow and a flag, and nothing comes with them. The engine's meetings order the rest. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct desk *desk = worker->trial->state;
    uint64_t before;

    (void)count;
    if (worker->index) {
        uint64_t wrong = 0;

        for (uint64_t made = atomic_load_explicit(&desk->made, memory_order_relaxed) + 1;
             !atomic_load_explicit(&desk->stop, memory_order_relaxed); made++) {
            wrong += !operate((int)worker->trial->value[0]);
            atomic_store_explicit(&desk->made, made, memory_order_relaxed);
        }
        return wrong ? -EILSEQ : 0;
    }
    before = atomic_load_explicit(&desk->made, memory_order_relaxed);
    while (atomic_load_explicit(&desk->made, memory_order_relaxed) == before)
        sched_yield(); /* the other has not begun */
    before = atomic_load_explicit(&desk->made, memory_order_relaxed);
    desk->together_ticks = operations(worker->trial, desk);
    before = atomic_load_explicit(&desk->made, memory_order_relaxed) - before;
    desk->company += before;
    desk->calls_together = CALLS + (double)before;
    atomic_store_explicit(&desk->stop, 1, memory_order_relaxed);
    *ticks = llround(desk->together_ticks);
    return 1;
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct desk *desk = worker->trial->state;

    (void)count;
    if (worker->index)
        return 0;
    desk->alone_ticks = operations(worker->trial, desk);
    atomic_store_explicit(&desk->stop, 0, memory_order_relaxed);
    desk->times[desk->pairs++] = desk->calls_together / CALLS * desk->alone_ticks / desk->together_ticks;
    *ticks = llround(desk->alone_ticks);
    return 1;
}

static int setup(struct trial *trial)
{
    return trial_alloc(trial, sizeof(struct desk)) ? 0 : -ENOMEM;
}

/* Both worked in every event. */
static int check(struct trial *trial)
{
    struct desk *desk = trial->state;

    if (desk->pairs == 0 || desk->wrong || desk->company == 0)
        return trial_fault(trial,
                           "%u pairs, %" PRIu64 " calls without an answer, %" PRIu64 " calls by the other worker",
                           desk->pairs, desk->wrong, desk->company);
    trial->metric[TIMES_ONE] = median_of(desk->times, desk->pairs);
    return 0;
}

/* An event and its control take 60 us each, and two meetings. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return BATCHES * PAIRS_A_BATCH * UINT64_C(400000);
}

KERNEL(smp,
    .name             = "process/smp",
    .summary          = "two CPUs make system calls at once, less one alone",
    .unit             = "call",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .parameters       = { { .name = "work", .summary = "of both", .labels = "call user", .initial = CALL,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [TIMES_ONE] = { "times_one", "1", "calls of both together, over those of one alone in the same time" } },
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
