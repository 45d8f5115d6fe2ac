/*
 * clock/empty: what is left of a window with nothing in it, once the empty window has been subtracted?
 *
 * One event is one window of the sampler's own shape (first reading, a call through a pointer to a function that does
 * nothing, second reading), less the trial's overhead, which is the median of such windows measured just before.
 * Excluded:  that overhead. This is the test of the subtraction that every other figure relies on.
 * Expect:    0 ± 1 cycle [figure asked of the suite].
 * Metrics:   mean_ticks, because the median is a whole number of the counter's steps: where a step is many ticks,
 *            overhead and window can agree in the median and be off by part of a step in the mean. What it shows is the
 *            systematic error of a batch of 1000 steps or more, so divide by 1000. Windows longer than twice the median
 *            plus two steps are gaps, left out.
 * Hazards:   none known.
 * Not shown: the cost of a reading (clock/read, clock/delta).
 */
#include "kernel.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOWS_PER_BATCH 128
#define BATCHES 8
#define CAPACITY (WINDOWS_PER_BATCH * BATCHES)
#define PAUSE_TURNS 64 /* of up to 3 cycles: moves the window across steps of the counter of up to 50 ns */

struct empty {
    void (*body)(struct worker *worker, uint64_t operations);
    uint64_t random, count;
    int64_t ticks[CAPACITY]; /* as read, before the subtraction */
};

static void nothing(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
}

static __attribute__((noinline)) int64_t window(void (*body)(struct worker *, uint64_t), struct worker *worker)
{
    uint64_t begin, end;

    begin = tick_begin();
    body(worker, 1);
    end = tick_end();
    return (int64_t)(end - begin);
}

static int setup(struct trial *trial)
{
    struct empty *empty = trial_alloc(trial, sizeof *empty);

    if (!empty)
        return -ENOMEM;
    empty->body = nothing; /* read back from memory, the call stays a call */
    empty->random = tick_now() | 1;
    return 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct empty *empty = trial->state;

    for (uint64_t i = 0; i < count; i++) {
        int64_t length;

        empty->random ^= empty->random << 13; /* Marsaglia's xorshift64: any generator would do */
        empty->random ^= empty->random >> 7;
        empty->random ^= empty->random << 17;
        for (uint64_t turns = empty->random >> 32 & (PAUSE_TURNS - 1); turns; turns--)
            OPAQUE(turns);
        length = window(empty->body, worker);
        if (empty->count < CAPACITY)
            empty->ticks[empty->count++] = length;
        ticks[i] = length - (int64_t)trial->overhead_ticks;
    }
    return (int64_t)count;
}

static int ascending(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* No window ran backwards, and the windows that were kept are most of them. */
static int check(struct trial *trial)
{
    struct empty *empty = trial->state;
    uint64_t kept = 0;
    int64_t limit;
    double sum = 0;

    if (empty->count == 0)
        return trial_fault(trial, "no window was measured");
    qsort(empty->ticks, empty->count, sizeof *empty->ticks, ascending);
    if (empty->ticks[0] < 0)
        return trial_fault(trial, "an empty window of %lld ticks", (long long)empty->ticks[0]);
    limit = 2 * empty->ticks[empty->count / 2] + 2 * (int64_t)trial->quantum_ticks;
    for (; kept < empty->count && empty->ticks[kept] <= limit; kept++)
        sum += (double)empty->ticks[kept];
    trial->metric[0] = sum / (double)kept - (double)trial->overhead_ticks;
    trial->metric[1] = 100 - 100.0 * (double)kept / (double)empty->count;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 300000;
}

KERNEL(empty,
    .name             = "clock/empty",
    .summary          = "a window with nothing in it, less the empty window: must be zero",
    .unit             = "window",
    .threads          = { .min = 1, .max = 1 },
    .metrics          = { { "mean_ticks", "ticks", "mean of the windows less the overhead, gaps left out" },
                          { "gaps_pct", "pct", "windows left out because something else ran in them" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WINDOWS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
