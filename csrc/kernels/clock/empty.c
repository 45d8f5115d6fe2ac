/*
 * clock/empty: what is left of a window with nothing in it, once the empty window has been subtracted?
 *
 * One event is the mean of 128 windows of the sampler's own shape, less the trial's overhead. Such a window is a first
 * reading, a call through a pointer to a function that does nothing, and a second reading. The engine took the overhead
 * from such windows just before. Some counters move in steps of many ticks. There a single window, or a median of any
 * number of windows, is a whole number of steps. Hence the mean (window_mean.h), and a pause of random length before
 * each window.
 * Excluded:  that overhead, and gaps. This is the test of the subtraction that every other figure relies on.
 * Expect:    0 ± 1 cycle, the figure asked of the suite. The rest is the systematic error of every batch. A batch is
 *            1000 steps or more, so divide by 1000.
 * Metrics:   mean_ticks over all windows of the process, finer than a tick.
 * Hazards:   both are means of some hundred windows, each of which is off by up to a step of the counter. One step of
 *            26 ticks leaves half a tick of chance.
 * Not shown: the cost of a reading (clock/read, clock/delta).
 */
#include "engine/window_mean.h"

#include <errno.h>
#include <math.h>

#define WINDOWS_PER_EVENT 128
#define EVENTS_PER_BATCH 4
#define BATCHES 8

struct empty {
    void (*body)(struct worker *worker, uint64_t operations);
    uint64_t random;
    uint64_t events, windows, kept, negative;
    double sum_ticks; /* of the events' means, before the subtraction */
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
        int64_t windows[WINDOWS_PER_EVENT];
        uint64_t kept;
        double mean;

        for (unsigned j = 0; j < WINDOWS_PER_EVENT; j++) {
            random_pause(&empty->random);
            windows[j] = window(empty->body, worker);
        }
        mean = mean_without_gaps(windows, WINDOWS_PER_EVENT, trial->quantum_ticks, &kept);
        empty->negative += windows[0] < 0; /* sorted: the shortest */
        empty->events++;
        empty->windows += WINDOWS_PER_EVENT;
        empty->kept += kept;
        empty->sum_ticks += mean;
        ticks[i] = (int64_t)llround(mean - trial->overhead_ticks);
    }
    return (int64_t)count;
}

/* No window ran backwards. */
static int check(struct trial *trial)
{
    const struct empty *empty = trial->state;

    if (empty->events == 0 || empty->negative)
        return trial_fault(trial, "windows of less than 0 ticks in %llu of %llu events",
                           (unsigned long long)empty->negative, (unsigned long long)empty->events);
    trial->metric[0] = empty->sum_ticks / (double)empty->events - trial->overhead_ticks;
    trial->metric[1] = 100 - 100.0 * (double)empty->kept / (double)empty->windows;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 500000;
}

KERNEL(empty,
    .name             = "clock/empty",
    .summary          = "a window with nothing in it, less the empty window, must be zero",
    .unit             = "window",
    .threads          = { .min = 1, .max = 1 },
    .metrics          = { { "mean_ticks", "ticks", "mean of the windows less the overhead, gaps left out" },
                          { "gaps_pct", "pct", "windows left out because something else ran in them" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = EVENTS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
